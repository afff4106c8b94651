"""ONNX graphs as Relax functions."""
