"""Calibration: observing activations and choosing their FP8 scales, one method a file."""
