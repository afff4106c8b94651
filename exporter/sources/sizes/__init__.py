"""Bounds on the values of a graph, known before any of them is allocated."""
