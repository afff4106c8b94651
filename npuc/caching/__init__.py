"""Finished steps of a compile, kept for the next one."""
