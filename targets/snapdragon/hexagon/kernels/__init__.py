"""TIR kernels of the integer operations: `plain` ones for the graph's own layout, `packed` ones for HVX."""
