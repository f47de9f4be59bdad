"""Means of several systems of one task."""
