"""Names of the arguments of `degrade` that state its blur; without PyTorch, since recipes are checked without it."""

from __future__ import annotations

BLUR = ("kernel", "fwhm", "mtf", "size", "variances", "angle", "sampling", "centred")
