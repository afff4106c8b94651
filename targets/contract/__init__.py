"""What a target and an accelerator are."""
