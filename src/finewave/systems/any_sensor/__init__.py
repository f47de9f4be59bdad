"""Spectral super-resolution of any sensor: a library of spectra, and a closed form that is solved for its bands."""
