"""Scenes in files: formats, products, places and spectra measured on the ground."""
