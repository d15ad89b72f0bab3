"""Target systems: each sink encodes, sends and classifies what came of it."""
