"""Binaries are executed and compared, then described for the people and the app that use them."""
