"""Spectral angle mapper."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from finewave.metrics.per_band import paired_bands

# A spectrum of a smaller norm has no direction.
ZERO_NORM = 1e-8

_TINY = 2.0**-52  # the smallest step from 1.0 in float64

ZeroSpectra = Literal["skip", "nan", "tiny", "additive"]


def zero_spectra(pred: Tensor, target: Tensor, *, valid: Tensor | None = None) -> int:
    """Count the pixels whose spectrum has a norm below 1e-8 in either image.

    Parameters
    ----------
    pred, target : (C, H, W) tensor
    valid : (H, W) bool tensor, optional
        Pixels to use; all by default.

    Returns
    -------
    int
    """
    _, pred_norm, target_norm = _products(pred, target, valid)
    return int(_without_direction(pred_norm, target_norm).sum())


def sam(
    pred: Tensor,
    target: Tensor,
    *,
    zeros: ZeroSpectra = "skip",
    degrees: bool = True,
    valid: Tensor | None = None,
) -> float:
    """Mean angle between predicted and true spectra.

    ``arccos(<t, p> / (|t| |p|))``, mean over pixels; a scaling of a spectrum does not matter.

    Parameters
    ----------
    pred, target : (C, H, W) tensor
    zeros : {"skip", "nan", "tiny", "additive"}, optional
        Treatment of spectra without a direction. ``"skip"``: pixels with a norm below 1e-8 in either image are
        excluded. ``"nan"``: they make the result ``nan``. ``"tiny"``: exact zeros become 2.2e-16 in both images, and
        2.2e-16 is added to the product of the norms. ``"additive"``: 1e-8 is added to the inner product and to both
        norms.
    degrees : bool, optional
        Degrees, or radians if False.
    valid : (H, W) bool tensor, optional
        Pixels to use; all by default.

    Returns
    -------
    float
        0 to 180 (pi); ``nan`` if every pixel was skipped.
    """
    product, pred_norm, target_norm = _products(pred, target, valid, tiny=zeros == "tiny")
    if zeros == "skip":
        directed = ~_without_direction(pred_norm, target_norm)
        product, pred_norm, target_norm = product[directed], pred_norm[directed], target_norm[directed]
        if product.numel() == 0:
            return math.nan
    if zeros == "additive":
        product, pred_norm, target_norm = product + 1e-8, pred_norm + 1e-8, target_norm + 1e-8
    norms = pred_norm * target_norm
    if zeros == "tiny":
        norms = norms + _TINY
    # Rounding may leave [-1, 1]; 0 / 0 stays nan.
    angle = torch.arccos((product / norms).clamp(-1.0, 1.0))
    mean = float(angle.mean())
    return math.degrees(mean) if degrees else mean


def _products(
    pred: Tensor, target: Tensor, valid: Tensor | None, *, tiny: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Inner product of the two spectra and their norms in each pixel, (N,) each."""
    product = pred_square = target_square = torch.zeros((), dtype=torch.float64, device=pred.device)
    for p, t in paired_bands(pred, target, valid):
        if tiny:
            p, t = p.masked_fill(p == 0, _TINY), t.masked_fill(t == 0, _TINY)
        product = product + p * t
        pred_square = pred_square + p.square()
        target_square = target_square + t.square()
    return product, pred_square.sqrt(), target_square.sqrt()


def _without_direction(pred_norm: Tensor, target_norm: Tensor) -> Tensor:
    """Return where either spectrum is too short to have a direction."""
    return torch.minimum(pred_norm, target_norm) < ZERO_NORM
