"""Equal graphs of another structure, which accelerators take more readily."""
