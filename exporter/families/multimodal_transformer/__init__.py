"""The reference model's family: picture, sound and question in, a number out."""
