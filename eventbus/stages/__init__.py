"""The built-in stages, one module each, and the pipeline that runs any stages."""
