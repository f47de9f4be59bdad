"""ERGAS, the dimensionless global relative error of synthesis."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from finewave.metrics.per_band import mse_of_bands, paired_bands

# A band with a smaller mean (of its absolute value) has no relative error.
DARK = 1e-8


def dark_bands(image: Tensor, *, valid: Tensor | None = None) -> Tensor:
    """Bands whose mean is too small to divide by.

    Parameters
    ----------
    image : (C, H, W) tensor
    valid : (H, W) bool tensor, optional
        Pixels to use; all by default.

    Returns
    -------
    (C,) bool tensor
        Where the mean's absolute value is below 1e-8.
    """
    return _band_means(image, valid).abs() < DARK


def ergas(
    pred: Tensor,
    target: Tensor,
    ratio: float,
    *,
    mean_of_prediction: bool = False,
    valid: Tensor | None = None,
) -> float:
    """ERGAS of one image (Wald 2002).

    ``100 / ratio * sqrt(mean over bands of MSE_band / mean_band²)``.

    Parameters
    ----------
    pred, target : (C, H, W) tensor
    ratio : float
        Sampling factor between the high and the low resolution image. Some publications keep it at 4 for
        every factor.
    mean_of_prediction : bool, optional
        Divide by the prediction's band means, as code with swapped arguments does; otherwise by the target's.
    valid : (H, W) bool tensor, optional
        Pixels to use; all by default.

    Returns
    -------
    float
        0 is best. `dark_bands` are left out; ``nan`` if no band is left.
    """
    reference = pred if mean_of_prediction else target
    means = _band_means(reference, valid)
    used = means.abs() >= DARK
    if not used.any():
        return math.nan
    relative = mse_of_bands(pred, target, valid)[used] / means[used].square()
    return float(100.0 / ratio * relative.mean().sqrt())


def _band_means(image: Tensor, valid: Tensor | None) -> Tensor:
    """Mean of each band, (C,)."""
    return torch.stack([band.mean() for band, _ in paired_bands(image, image, valid)])
