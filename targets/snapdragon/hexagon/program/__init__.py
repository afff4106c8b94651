"""A network as calls of integer kernels on named buffers."""
