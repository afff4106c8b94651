"""Attention, its masks, norms and rotary positions in elementary operators."""
