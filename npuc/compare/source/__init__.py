"""A graph beside the model as the user gave it."""
