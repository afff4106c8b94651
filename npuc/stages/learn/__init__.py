"""What is trained: a student, sub-networks, quantised weights."""
