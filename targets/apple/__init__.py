"""Back end for Apple devices."""
