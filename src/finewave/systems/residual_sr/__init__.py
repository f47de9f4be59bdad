"""Spatial super-resolution by a residual network whose results are consistent with the input."""
