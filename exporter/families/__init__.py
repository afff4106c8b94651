"""Model families npuc can capture, each an adapter from a checkpoint folder to a program; `registry` lists them."""
