"""The bundled model's family: picture, sound and question in, a number out."""
