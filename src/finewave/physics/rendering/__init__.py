"""Spectra as colours on a screen."""
