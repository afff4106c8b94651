"""Powers of two that keep a graph's values in float16."""
