"""Vendors' compilers: each in a virtual environment of its own, run in a fresh process for every job."""
