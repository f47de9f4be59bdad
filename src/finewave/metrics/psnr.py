"""Peak signal-to-noise ratio."""

from __future__ import annotations

import torch
from torch import Tensor

from finewave.metrics.per_band import mse_of_bands


def psnr(
    pred: Tensor,
    target: Tensor,
    *,
    data_range: float = 1.0,
    per_band: bool = False,
    valid: Tensor | None = None,
) -> float:
    """Peak signal-to-noise ratio of one image in dB.

    ``10 log10(data_range² / MSE)``. Of all bands together by default; with `per_band` the mean over bands of
    each band's own (MPSNR), which is never smaller and equal only if all bands have the same error.

    Parameters
    ----------
    pred, target : (C, H, W) tensor
    data_range : float, optional
        The peak.
    per_band : bool, optional
        Mean of the bands' values instead of the value of the mean error.
    valid : (H, W) bool tensor, optional
        Pixels to use; all by default.

    Returns
    -------
    float
        ``inf`` for identical images, and per band as soon as one band is identical. Reports may cap it;
        the library does not.
    """
    errors = mse_of_bands(pred, target, valid)
    if not per_band:
        errors = errors.mean()
    return float((10.0 * torch.log10(data_range**2 / errors)).mean())
