"""Passes that change what weights hold: training, distillation, pruning, sub-networks."""
