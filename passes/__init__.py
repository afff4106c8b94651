"""Graph rewrites: normalisation, precision and FP8 quantisation, one rewrite a file."""
