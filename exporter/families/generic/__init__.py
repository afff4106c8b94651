"""Any other model: one component from tensors to tensors, without preprocessing of its own."""
