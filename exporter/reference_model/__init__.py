"""The reference model shipped with npuc: a small network that needs an image, a sound and a question at once."""
