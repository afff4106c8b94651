"""An npuc target for x86-64 Linux boards."""
