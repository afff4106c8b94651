"""Cuts a deep component into parts that a processor can hold."""
