"""Cross correlation."""

from __future__ import annotations

import math

from torch import Tensor

from finewave.metrics.per_band import paired_bands


def cc(pred: Tensor, target: Tensor, *, valid: Tensor | None = None) -> float:
    """Mean over bands of Pearson's correlation between prediction and target.

    Parameters
    ----------
    pred, target : (C, H, W) tensor
    valid : (H, W) bool tensor, optional
        Pixels to use; all by default.

    Returns
    -------
    float
        -1 to 1. Bands that are constant in either image have no correlation and are left out; ``nan`` if no
        band is left.
    """
    values = []
    for pred_band, target_band in paired_bands(pred, target, valid):
        # An exact test, as rounding gives even a constant band a tiny variance.
        if pred_band.min() == pred_band.max() or target_band.min() == target_band.max():
            continue
        p, t = pred_band - pred_band.mean(), target_band - target_band.mean()
        values.append(float((p * t).sum() / (p.square().sum().sqrt() * t.square().sum().sqrt())))
    return sum(values) / len(values) if values else math.nan
