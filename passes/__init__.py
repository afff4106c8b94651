"""Rewrites of ONNX graphs: normalisation, number formats, cutting, structure, and what changes weights."""
