"""Requantisation of a float graph to integers, in the form that fixed-point NPUs execute."""
