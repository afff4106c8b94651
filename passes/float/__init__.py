"""Number formats with an exponent: FP8 and float16."""
