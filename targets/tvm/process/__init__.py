"""Code generation in a process of its own."""
