"""Devices, legality, lowering and emulated execution."""
