"""A binary beside its reference graph."""
