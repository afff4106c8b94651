"""A smaller student of the same family: its dimensions, its first weights, and what it learns from the teacher."""
