"""The published systems, one file each, and what makes them one family: registry, cards, weights."""
