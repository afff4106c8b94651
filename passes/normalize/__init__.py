"""Captured graphs become elementary operators."""
