"""Spectra of multispectral pixels by kernel ridge regression, in closed form."""
