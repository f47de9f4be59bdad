"""Spectral distortion without a reference: how far an image, degraded, is from the low-resolution one.

M. M. Khan, L. Alparone, J. Chanussot, "Pansharpening quality assessment using the modulation transfer functions of
instruments", IEEE Transactions on Geoscience and Remote Sensing 47(11), 2009, section III: 1 - Q2n between the fused
image, degraded by the instrument's blur, and the low-resolution image. Q2n is the quality index of images of any number
of bands by A. Garzelli, F. Nencini, "Hypercomplex quality assessment of multi/hyper-spectral images", IEEE Geoscience
and Remote Sensing Letters 6(4), 2009. With D_S of QNR it makes HQNR = (1 - D_lambda) (1 - D_S) (G. Vivone et al., "A
new benchmark based on recent advances in multispectral pansharpening", IEEE Geoscience and Remote Sensing Magazine
9(1), 2021).
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from finewave.errors import InputError
from finewave.metrics.qnr import blocks_of

BLOCK = 32
"""Side of a block in pixels of the low-resolution image."""


class Khan:
    """D_lambda of an image that is added in parts, 0 at best; blocks with a pixel without a value are left out."""

    def __init__(self) -> None:
        self.blocks = 0
        self._sum = 0.0

    def add(self, degraded: Tensor, low: Tensor) -> None:
        """Add a part (C, h, w) of the degraded image and of the low-resolution one.

        Raises
        ------
        InputError
            If they are of different sizes.
        """
        if degraded.shape != low.shape:
            raise InputError(f"khan: images of shapes {tuple(degraded.shape)} and {tuple(low.shape)} are not alike")
        one, other = (blocks_of(image, BLOCK) for image in (degraded, low))
        whole = torch.isfinite(one).all(2).all(1) & torch.isfinite(other).all(2).all(1)
        self.blocks += int(whole.sum())
        self._sum += float(q2n(one[whole], other[whole]).sum())

    def compute(self) -> float | None:
        """Return D_lambda; None if there is no block."""
        return 1 - self._sum / self.blocks if self.blocks else None


def q2n(a: Tensor, b: Tensor) -> Tensor:
    """Return Q2n (n,) of blocks (n, C, pixels), each pixel one hypercomplex number of C components or more, float64.

    ``4 |cov(a, b)| |mean a| |mean b| / ((var a + var b) (|mean a|² + |mean b|²))``; 1 for equal constants.
    """
    mean_a, mean_b = a.mean(2), b.mean(2)
    centred_a, centred_b = a - mean_a[:, :, None], b - mean_b[:, :, None]
    pairs = centred_a @ centred_b.mT / a.shape[2]  # of all components, (n, C, C)
    target, sign = _products_with_conjugate(a.shape[1])
    covariance = pairs.new_zeros(len(pairs), int(target.max()) + 1)
    covariance.index_add_(1, target.flatten(), (pairs * sign).flatten(1))
    variance = centred_a.square().sum(1).mean(1) + centred_b.square().sum(1).mean(1)
    norms = mean_a.square().sum(1), mean_b.square().sum(1)
    contrast = _ratio(2 * covariance.norm(dim=1), variance)
    return contrast * _ratio(2 * (norms[0] * norms[1]).sqrt(), norms[0] + norms[1])


@lru_cache(maxsize=8)
def _products_with_conjugate(count: int) -> tuple[Tensor, Tensor]:
    """Return for components i of a number and j of another the component (count, count) of ``x conj(y)``, and its sign.

    Of the Cayley-Dickson construction, ``(a, b) (c, d) = (a c - conj(d) b, d a + b conj(c))``.
    """
    size = 1
    sign = torch.ones(1, 1, dtype=torch.float64)  # of e_i e_j
    while size < count:
        conjugate = -torch.ones(size, dtype=torch.float64)
        conjugate[0] = 1
        upper = torch.cat([sign, sign.T], 1)  # a c, and d a
        lower = torch.cat([sign * conjugate, -sign.T * conjugate], 1)  # b conj(c), and - conj(d) b
        sign = torch.cat([upper, lower])
        size *= 2
    conjugate = -torch.ones(size, dtype=torch.float64)
    conjugate[0] = 1
    sign = (sign * conjugate)[:count, :count]
    index = torch.arange(count)
    return index[:, None] ^ index[None], sign


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Return a quotient, 1 for 0 / 0."""
    undefined = whole < 1e-16
    return torch.where(undefined, 1.0, part / whole.masked_fill(undefined, 1.0))
