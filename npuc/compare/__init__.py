"""What is compared with the model as the user gave it: rewritten graphs, and graphs in their final precision."""
