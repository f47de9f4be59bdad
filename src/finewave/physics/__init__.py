"""How images come about: degradation, spectral responses, colour."""
