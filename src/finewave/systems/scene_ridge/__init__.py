"""Spectral super-resolution by kernel ridge regression in which every scene may differ from the others."""
