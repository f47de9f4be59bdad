"""Root mean squared error."""

from __future__ import annotations

from torch import Tensor

from finewave.metrics.per_band import mse_of_bands


def rmse(pred: Tensor, target: Tensor, *, valid: Tensor | None = None) -> float:
    """Root of the squared error's mean over all bands and pixels, in the images' unit.

    Parameters
    ----------
    pred, target : (C, H, W) tensor
    valid : (H, W) bool tensor, optional
        Pixels to use; all by default.

    Returns
    -------
    float
    """
    return float(mse_of_bands(pred, target, valid).mean().sqrt())
