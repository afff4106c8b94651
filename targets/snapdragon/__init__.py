"""Back end for Snapdragon devices."""
