"""What a user sets: the recipe, and what the command line changes in it."""
