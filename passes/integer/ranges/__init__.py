"""Which range the codes of an activation cover."""
