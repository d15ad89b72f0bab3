"""Events as bytes: envelopes and JSON modes, shared by all sinks."""
