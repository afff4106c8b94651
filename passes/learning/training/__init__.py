"""A differentiable interpreter of ONNX programs on torch, and what trains with it."""
