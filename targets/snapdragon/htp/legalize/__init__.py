"""Rewrites for Qualcomm's HTP compiler: what it takes in float16, and nothing else."""
