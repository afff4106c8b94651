"""Data sets of pictures, sounds and texts for training, augmented on the fly."""
