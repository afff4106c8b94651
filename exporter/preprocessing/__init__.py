"""From what a user has (text, pictures, sound) to what a model's components take. numpy only, no torch."""
