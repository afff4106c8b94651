"""From the parts of a plan to binaries."""
