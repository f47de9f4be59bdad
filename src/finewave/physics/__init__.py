"""Image formation: degradation, spectral responses, colour."""
