"""A smaller model of the bundled one's family, distilled from it."""
