"""Which processor of the device runs what, and in which number format."""
