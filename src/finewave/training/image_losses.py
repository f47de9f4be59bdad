"""Losses of an image against its target by name, for the ``losses`` of a recipe."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from finewave.training.losses import l1, squared

DARK = 1e-3
"""Reflectance below which a relative error counts as if the target were this bright."""


def smooth_l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Huber's loss with beta 1: half the square up to a difference of 1, linear beyond."""
    return F.smooth_l1_loss(prediction.to(target.dtype), target)


def mrae(prediction: Tensor, target: Tensor, darkest: float = DARK) -> Tensor:
    """Mean relative absolute error, |p - t| / max(t, ``darkest``).

    The published definition divides by the target alone, which is infinite where that is zero.
    """
    return ((prediction.to(target.dtype) - target).abs() / target.clamp(min=darkest)).mean()


def sam(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean angle in radians between spectra of (B, C, H, W)."""
    cosine = F.cosine_similarity(prediction.float(), target.float(), dim=1, eps=1e-6)
    return torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6)).mean()  # the slope of acos is infinite at 1


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": l1,
    "mse": squared,
    "smooth_l1": smooth_l1,
    "mrae": mrae,
    "sam": sam,
}
