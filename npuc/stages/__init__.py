"""The stages of a compile, one a file, in the order in which npuc/pipeline.py runs them."""
