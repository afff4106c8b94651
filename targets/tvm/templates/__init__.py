"""Templates of the generated C files."""
