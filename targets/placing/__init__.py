"""Which processor runs which node, and where a component is cut for that."""
