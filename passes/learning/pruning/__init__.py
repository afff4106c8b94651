"""What pruning knows of a program: which channels depend on each other, how important they are, how to cut them."""
