"""Torch modules: .pt2 archives and functions of the user's."""
