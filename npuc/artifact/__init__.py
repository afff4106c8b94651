"""An artifact: what lies in its folder, and how that is written and read."""
