"""The stages of a compile: capture (which learns, where the recipe asks for it), place, lower, ship."""
