"""The machine npuc runs on: signals, memory, disk."""
