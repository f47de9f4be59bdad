"""Sums over one band at a time, in double precision, so that no second copy of an image is made."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def paired_bands(pred: Tensor, target: Tensor, valid: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each band of both images as float64 vectors of their valid pixels.

    Parameters
    ----------
    pred, target : (C, H, W) tensor
        Any float type.
    valid : (H, W) bool tensor, optional
        Pixels to use; all by default.

    Yields
    ------
    pred_band, target_band : (N,) float64 tensor
    """
    for pred_band, target_band in zip(pred, target, strict=True):
        if valid is None:
            yield pred_band.reshape(-1).double(), target_band.reshape(-1).double()
        else:
            yield pred_band[valid].double(), target_band[valid].double()


def mse_of_bands(pred: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """Mean squared error of each band.

    Parameters
    ----------
    pred, target : (C, H, W) tensor
    valid : (H, W) bool tensor, optional
        Pixels to use; all by default.

    Returns
    -------
    (C,) float64 tensor
    """
    return torch.stack([(p - t).square().mean() for p, t in paired_bands(pred, target, valid)])
