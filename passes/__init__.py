"""Rewrites of ONNX programs: normalisation, precision, calibration, layout."""
