"""Quantised ONNX graphs → integer programs."""
