"""The figure of a publication."""
