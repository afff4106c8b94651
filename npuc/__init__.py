"""The driver: recipe, pipeline, artifact, verification, command line."""
