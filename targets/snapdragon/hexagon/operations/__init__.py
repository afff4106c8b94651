"""Integer operations: their exact meaning in numpy, one a file. Kernels are in `kernels`."""
