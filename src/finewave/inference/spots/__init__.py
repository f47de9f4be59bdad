"""Spectra measured on the ground: what they correct, and where to measure."""
