"""Graph capture: from a model source to a Program of static-shape ONNX components."""
