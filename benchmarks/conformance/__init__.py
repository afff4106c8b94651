"""The standard's own tests of single operators, put through npuc."""
