"""Back end for Arm devices."""
