"""What a model is to npuc: its components, their errors, their reference and how far a result is from it."""
