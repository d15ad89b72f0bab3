"""Cases of configurations."""
