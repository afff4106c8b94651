""".onnx files: parsed, checked, brought to one opset."""
