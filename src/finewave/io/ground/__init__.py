"""Measurements on the ground: places, spectra, spectral libraries."""
