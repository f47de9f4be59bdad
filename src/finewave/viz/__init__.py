"""Visualisation: figures, reports, the viewer."""
