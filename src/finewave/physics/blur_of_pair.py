"""Which blur lies between two images of one scene, an HSI at low and an MSI at high resolution.

Degraded as the HSI was, each MS band is nearly an affine map of the HS bands, whatever the sensor; with another blur
it is not: a response is found by least squares for each blur, as in M. Simões, J. Bioucas-Dias, L. B. Almeida, J.
Chanussot, "A Convex Formulation for Hyperspectral Image Superresolution via Subspace-Based Regularization", IEEE TGRS
53(6), 2015, section IV, here for the kernels of `degrade`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from finewave.physics.degradation import ANISOTROPIC
from finewave.physics.observation import Observation

PIXELS_PER_BAND = 10
"""LR pixels for each HS band below which nothing is concluded: a response fits to any blur."""
AGREES = 5e-5
"""Part of the MSI's variance that may remain unexplained without any doubt about the blur."""
CLEARLY = 0.5
"""Of what is unexplained, how much another blur may leave if it is to be believed."""
WIDTHS = (0.4, 2.0)
"""Range of the Gaussian's FWHM that is searched, in LR pixels."""


class BlurMisfit:
    """Part of the variance of the degraded MSI that no affine map of the LR-HSI explains, for any blur.

    Parameters
    ----------
    lr_hsi : Tensor (B, C, h, w)
    hr_msi : Tensor (B, c, s h, s w)
    """

    def __init__(self, lr_hsi: Tensor, hr_msi: Tensor) -> None:
        pixels = lr_hsi.double().permute(0, 2, 3, 1).flatten(0, 2)
        self._span = torch.linalg.qr(torch.cat([torch.ones_like(pixels[:, :1]), pixels], 1)).Q
        self.hr_msi, self.scale = hr_msi, hr_msi.shape[2] // lr_hsi.shape[2]

    def __call__(self, degradation: Mapping[str, Any]) -> float:
        """Return it, 0 to 1, of keyword arguments of `degrade`; of a constant MSI, 0."""
        low = Observation(self.scale, degradation, "the blur")(self.hr_msi)
        seen = low.double().permute(0, 2, 3, 1).flatten(0, 2)
        seen = seen - seen.mean(0)
        left = seen - self._span @ (self._span.T @ seen)
        return float(left.square().sum() / seen.square().sum().clamp(min=torch.finfo(torch.float64).tiny))


def contradicting_blur(lr_hsi: Tensor, hr_msi: Tensor, degradation: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the blur that two images have, if it is clearly not the stated one.

    Parameters
    ----------
    lr_hsi : Tensor (B, C, h, w)
        Finite.
    hr_msi : Tensor (B, c, s h, s w)
        Finite, aligned.
    degradation : mapping
        The stated one: keyword arguments of `degrade`.

    Returns
    -------
    dict or None
        Keyword arguments of `degrade`: a Gaussian of any width, the bicubic or the anisotropic kernel, whichever fits
        best, if it leaves less than half unexplained; None if the stated one is as good, or images are too small.
    """
    B, C, h, w = lr_hsi.shape
    if B * h * w < PIXELS_PER_BAND * (C + 1):
        return None
    misfit = BlurMisfit(lr_hsi, hr_msi)
    stated = misfit(degradation)
    if stated < AGREES:
        return None
    scale = misfit.scale
    fwhm = _least(lambda width: misfit({"kernel": "gaussian", "fwhm": width}), scale * WIDTHS[0], scale * WIDTHS[1])
    candidates: list[dict[str, Any]] = [{"kernel": "gaussian", "fwhm": fwhm}, {"kernel": "bicubic"}]
    candidates.append({"kernel": ANISOTROPIC})
    best = min(candidates, key=misfit)
    return best if misfit(best) < CLEARLY * stated else None


def _least(function: Any, low: float, high: float) -> float:
    """Return where a function of a positive number is least, to one in a hundred."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda log: function(math.exp(log)), bounds=(math.log(low), math.log(high)), options={"xatol": 5e-3}
    )
    return round(math.exp(float(found.x)), 3)
