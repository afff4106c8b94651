"""What the benchmarks of quantisation-aware training share."""
