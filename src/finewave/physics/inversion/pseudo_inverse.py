"""The smallest change of an image that changes its observation by a given amount: D⁺ = Dᵀ (D Dᵀ)⁻¹.

Blur and decimation D by a separable, symmetric kernel act on rows and columns alike, so that D Dᵀ is, on each axis, a
convolution of LR pixels: its taps are the kernel's autocorrelation at multiples of s. Its inverse is also a
convolution, with exponentially decaying taps, as for every banded, well-conditioned matrix (S. Demko, W. F. Moss, P. W.
Smith, "Decay rates for inverses of band matrices", Mathematics of Computation 43, 1984), truncated where they are
negligible. `degrade` mirrors an image at its borders, and both D and Dᵀ of a symmetric kernel preserve that symmetry:
with differences mirrored likewise, the convolutions give the pseudo-inverse at borders as well.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.physics.anisotropic import mirrored

if TYPE_CHECKING:
    from torch import Tensor

    from finewave.physics.observation import Observation

TOLERANCE = 1e-5
"""Maximum relative error from truncating the inverse."""
LARGEST_CONDITION = 1e3
"""Maximum condition number of D Dᵀ along an axis; beyond it, rounding and noise would be amplified too much."""
_PERIOD = 4096  # LR pixels; what an inverse has beyond half of them is far below `TOLERANCE`


class PseudoInverse:
    """D⁺ of an observation.

    Parameters
    ----------
    observation : Observation
        D.
    owner : str
        For messages.

    Attributes
    ----------
    reach : int
        Distance in LR pixels up to which a difference acts on the correction.
    noise_gain : float
        Variance that white noise of variance 1 in the difference has in the correction.

    Raises
    ------
    InputError
        If the kernel is not separable or not symmetric, or its pseudo-inverse is too ill-conditioned.
    """

    def __init__(self, observation: Observation, owner: str) -> None:
        self.scale = observation.scale
        self._axes = []
        for taps in separable_taps(observation, owner):
            self._axes.append((_inverse(taps, self.scale, owner), _phases(taps, self.scale)))
        self.reach = max(len(inverse) // 2 + phases.shape[1] // 2 for inverse, phases in self._axes)
        middles = [float(inverse[len(inverse) // 2]) for inverse, _ in self._axes]
        self.noise_gain = math.prod(middles) / self.scale**2  # D⁺ᵀ D⁺ = (D Dᵀ)⁻¹

    def __call__(self, difference: Tensor) -> Tensor:
        """Return the correction (B, c, s h, s w) that changes an image's observation by (B, c, h, w)."""
        result = difference.double()  # few pixels: rounding must not be enlarged
        for axis, (inverse, _) in zip((-2, -1), self._axes, strict=True):
            result = _weighted(mirrored(result, len(inverse) // 2, axis), inverse, axis)
        result = result.to(difference.dtype)
        for axis, (_, phases) in zip((-2, -1), self._axes, strict=True):
            result = _enlarged(result, phases, axis)
        return result


def separable_taps(observation: Observation, owner: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the kernel of an observation along rows' and along columns' axis, as `degrade` applies it.

    It is found by asking how an LR pixel depends on the HR pixels around it, so that all options of `degrade` count.

    Returns
    -------
    pair of ndarray (n s,), float64
        n odd; the LR pixel stands in the middle.

    Raises
    ------
    InputError
        If the kernel is not separable, or not symmetric.
    """
    import torch

    side = 2 * observation.reach + 3  # what is beyond the border stays unseen
    with torch.device("cpu"), torch.enable_grad():  # also while a network without values is built, on "meta"
        image = torch.zeros(1, 1, side * observation.scale, side * observation.scale, dtype=torch.float64)
        image.requires_grad_()
        middle = observation(image)[0, 0, side // 2, side // 2]
        (gradient,) = torch.autograd.grad(middle, image)
    kernel = gradient[0, 0].numpy()
    down, across = kernel.sum(1), kernel.sum(0)
    separable = np.abs(kernel - np.outer(down, across)).max() < 1e-9
    if not separable or any(np.abs(taps - taps[::-1]).max() > 1e-9 for taps in (down, across)):
        raise InputError(
            f"{owner}: results can be made consistent for kernels that are separable and symmetric; this degradation "
            f"is not ({observation.options})"
        )
    return down, across


def _inverse(taps: NDArray[np.float64], scale: int, owner: str) -> NDArray[np.float64]:
    """Return the taps of (D Dᵀ)⁻¹ along an axis, an odd number."""
    correlation = np.correlate(taps, taps, "full")
    lags = correlation[(len(taps) - 1) % scale :: scale]
    periodic = np.zeros(_PERIOD)
    np.add.at(periodic, np.arange(len(lags)) - len(lags) // 2, lags)
    spectrum = np.fft.fft(periodic).real
    if spectrum.min() <= spectrum.max() / LARGEST_CONDITION:
        raise InputError(
            f"{owner}: this degradation blurs so much that its results cannot be made consistent without enlarging "
            "every error; its kernel should be no wider than twice the scale"
        )
    inverse = np.roll(np.fft.ifft(1 / spectrum).real, _PERIOD // 2)
    middle, sizes = _PERIOD // 2, np.abs(inverse)
    beyond = np.cumsum(sizes[middle + 1 :][::-1])[::-1]  # sums of all taps beyond 0, 1, 2, ...
    radius = int(np.argmax(2 * beyond * sizes.sum() < TOLERANCE))
    return inverse[middle - radius : middle + radius + 1]


def _phases(taps: NDArray[np.float64], scale: int) -> NDArray[np.float64]:
    """Return Dᵀ as weights (s, n) of the n LR pixels around, one row for each of the s HR pixels on an LR pixel."""
    blocks = taps.reshape(-1, scale)[::-1].T  # the LR pixel behind sees this pixel ahead of itself
    used = np.flatnonzero(np.abs(blocks).max(0) > 0)
    margin = min(used[0], blocks.shape[1] - 1 - used[-1])
    return blocks[:, margin : blocks.shape[1] - margin]


def _weighted(image: Tensor, weights: NDArray[np.float64], axis: int) -> Tensor:
    """Return the weighted sum of an image's shifts; for few pixels faster than a convolution."""
    length = image.shape[axis] - len(weights) + 1
    result = image.narrow(axis, 0, length) * float(weights[0])
    for offset, weight in enumerate(weights[1:], start=1):
        if weight:
            result.add_(image.narrow(axis, offset, length), alpha=float(weight))
    return result


def _enlarged(image: Tensor, phases: NDArray[np.float64], axis: int) -> Tensor:
    import torch

    padded = mirrored(image, phases.shape[1] // 2, axis)
    parts = [_weighted(padded, weights, axis) for weights in phases]
    stacked = torch.stack(parts, -1 if axis == -1 else -2)
    return stacked.flatten(-2) if axis == -1 else stacked.flatten(-3, -2)
