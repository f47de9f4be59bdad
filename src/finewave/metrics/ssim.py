"""Structural similarity."""

from __future__ import annotations

import math
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

SsimVariant = Literal["gauss-valid", "gauss-reflect", "uniform7"]

SSIM_WINDOW: dict[SsimVariant, int] = {"gauss-valid": 11, "gauss-reflect": 11, "uniform7": 7}
_SIGMA = 1.5
_K1, _K2 = 0.01, 0.03
# Bands are processed together up to this many pixels: few calls for small images, little memory for large ones.
_PIXELS_AT_ONCE = 2**18


def ssim(
    pred: Tensor,
    target: Tensor,
    *,
    data_range: float = 1.0,
    variant: SsimVariant = "gauss-valid",
    valid: Tensor | None = None,
) -> float:
    """Structural similarity (Wang et al. 2004), mean over positions and bands.

    Parameters
    ----------
    pred, target : (C, H, W) tensor
    data_range : float, optional
        The L of the constants ``(0.01 L)²`` and ``(0.03 L)²``.
    variant : {"gauss-valid", "gauss-reflect", "uniform7"}, optional
        ``"gauss-valid"``: Gaussian window of 11 x 11, sigma 1.5, population variances, only where the window
        lies inside the image. ``"gauss-reflect"``: the same on the reflected image, at every pixel (what
        torchmetrics 1.9 computes). ``"uniform7"``: flat window of 7 x 7, sample covariances, inside the
        image (the default of scikit-image).
    valid : (H, W) bool tensor, optional
        Pixels with data; windows that touch other pixels are excluded. All by default.

    Returns
    -------
    float
        -1 to 1; ``nan`` if the image is smaller than the window (for ``"gauss-reflect"``: than 6 x 6), or no
        window is free of pixels without data.
    """
    window = SSIM_WINDOW[variant]
    reflect = window // 2 if variant == "gauss-reflect" else 0
    if min(pred.shape[-2:]) < (reflect + 1 if reflect else window):
        return math.nan
    weights = _window_weights(variant)
    counted = None if valid is None else _windows_with_data(valid, window, reflect)
    unbias = window**2 / (window**2 - 1) if variant == "uniform7" else 1.0
    total, number = 0.0, 0
    for first in range(0, pred.shape[0], _bands_at_once(pred)):
        bands = slice(first, first + _bands_at_once(pred))
        similarity = _similarity(
            _padded(pred[bands], valid, reflect),
            _padded(target[bands], valid, reflect),
            weights,
            data_range,
            unbias,
        )
        if counted is not None:
            similarity = similarity[:, counted]
        total += float(similarity.sum())
        number += similarity.numel()
    return total / number if number else math.nan


def _similarity(pred: Tensor, target: Tensor, weights: list[float], data_range: float, unbias: float) -> Tensor:
    """Similarity of each position, (bands, positions down, positions across)."""
    pred_mean, target_mean = _blur(pred, weights), _blur(target, weights)
    # Rounding may make a tiny variance negative.
    pred_var = (unbias * (_blur(pred * pred, weights) - pred_mean.square())).clamp_min(0.0)
    target_var = (unbias * (_blur(target * target, weights) - target_mean.square())).clamp_min(0.0)
    covariance = unbias * (_blur(pred * target, weights) - pred_mean * target_mean)
    c1, c2 = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    luminance = (2 * pred_mean * target_mean + c1) / (pred_mean.square() + target_mean.square() + c1)
    return luminance * (2 * covariance + c2) / (pred_var + target_var + c2)


def _padded(bands: Tensor, valid: Tensor | None, reflect: int) -> Tensor:
    """Bands in float64, without gaps, reflected at the edges."""
    image = bands.double()
    if valid is not None:
        # The value is irrelevant, as these windows are excluded, but nan would spread.
        image = image.masked_fill(~valid, 0.0)
    return F.pad(image, (reflect,) * 4, mode="reflect") if reflect else image


def _window_weights(variant: SsimVariant) -> list[float]:
    """Weights of the window along one axis; they sum to 1."""
    window = SSIM_WINDOW[variant]
    if variant == "uniform7":
        return [1 / window] * window
    raw = [math.exp(-((offset - window // 2) ** 2) / (2 * _SIGMA**2)) for offset in range(window)]
    return [value / sum(raw) for value in raw]


def _blur(image: Tensor, weights: list[float]) -> Tensor:
    """Weighted mean over the window at each position where it lies inside, down and then across.

    Sums of shifted copies, as convolutions of float64 are many times slower on CPU.
    """
    for dim in (-2, -1):
        inside = image.shape[dim] - len(weights) + 1
        mean = image.narrow(dim, 0, inside) * weights[0]
        for offset, weight in enumerate(weights[1:], start=1):
            mean.add_(image.narrow(dim, offset, inside), alpha=weight)
        image = mean
    return image


def _windows_with_data(valid: Tensor, window: int, reflect: int) -> Tensor:
    """Positions whose whole window has data, (positions down, positions across)."""
    missing = (~valid).double()[None, None]
    if reflect:
        missing = F.pad(missing, (reflect,) * 4, mode="reflect")
    return F.max_pool2d(missing, window, stride=1)[0, 0] == 0


def _bands_at_once(image: Tensor) -> int:
    """Return how many bands are processed together."""
    return max(1, _PIXELS_AT_ONCE // (image.shape[-2] * image.shape[-1]))
