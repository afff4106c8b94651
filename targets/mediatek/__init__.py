"""Back end for MediaTek devices."""
