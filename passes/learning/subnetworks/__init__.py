"""Nested sub-networks that share one set of weights."""
