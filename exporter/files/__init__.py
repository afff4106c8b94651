"""Reading the files of a model folder, which somebody else made: every path contained, every size checked."""
