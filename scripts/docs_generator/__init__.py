"""Makes reference pages from click commands, pydantic models and the device catalogue."""
