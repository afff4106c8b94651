"""The catalogue of devices."""
