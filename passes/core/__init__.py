"""What every pass builds on: walking, rewriting and running graphs."""
