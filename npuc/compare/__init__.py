"""Comparisons: of graphs with the model as the user gave it, and of binaries with their graphs."""
