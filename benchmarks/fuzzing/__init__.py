"""Files as strangers could make them, and what npuc does with each."""
