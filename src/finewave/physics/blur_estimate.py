"""How wide the blur of an image is, estimated from the image alone.

A step that is blurred changes within one pixel as much as within two, the less the wider the blur. In scenes of sharp
steps at random places, whose spectrum falls with the square of the frequency along a line, the mean squared second
difference over a distance l is W(l) = -3 h(0) + 4 h(l) - h(2 l), where h(t) is the mean of ``|t + d|`` over the
differences d of two places in the blur's kernel. W(1) / W(2) is 1/2 without a blur, and falls the more the wider it is.

What a model makes of the image cannot tell: degraded again by the model's blur, it is nearly the image whatever the
blur was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finewave.physics.inversion.pseudo_inverse import separable_taps

if TYPE_CHECKING:
    from torch import Tensor

    from finewave.physics.observation import Observation

USUAL_ERROR = 0.2
"""Standard deviation of an estimate, as a part of the width: scenes differ in how sharp they are."""
_FWHM = 2 * math.sqrt(2 * math.log(2))  # of a Gaussian, in standard deviations
_WIDTHS = np.linspace(0.05, 6, 1191)  # in pixels of the image
_LARGEST_NOISE = 0.75
"""Part of the finest differences that may be noise."""
LEAST_PIXELS = 96 * 96
"""In fewer there are too few edges: of 48 x 48 pixels of CAVE scenes a quarter is off by twice the usual error."""


@dataclass
class Curvatures:
    """Sums of squared second differences over one and two pixels, along both axes, and their numbers."""

    fine: float = 0.0
    coarse: float = 0.0
    fine_count: int = 0
    coarse_count: int = 0
    pixels: int = 0

    def add(self, image: Tensor) -> None:
        """Take in an image (c, h, w); NaN is left out."""
        import torch

        self.pixels += int(image[0].isfinite().sum())
        for lag in (1, 2):
            for axis in (-2, -1):
                length = image.shape[axis] - 2 * lag
                if length < 1:
                    continue
                low, middle, high = (image.narrow(axis, start, length) for start in (0, lag, 2 * lag))
                squares = (low - 2 * middle + high).double().square()
                total, count = float(torch.nansum(squares)), int(squares.isfinite().sum())
                if lag == 1:
                    self.fine, self.fine_count = self.fine + total, self.fine_count + count
                else:
                    self.coarse, self.coarse_count = self.coarse + total, self.coarse_count + count

    def fwhm(self, noise: float) -> float | None:
        """Return the full width at half maximum of a Gaussian blur, in pixels of the image.

        Parameters
        ----------
        noise : float
            Standard deviation of the image's noise; six times its square is in each second difference.

        Returns
        -------
        float or None
            None where it cannot be told: the image is small or flat, or most of its finest differences may be noise.
        """
        if self.pixels < LEAST_PIXELS or not self.fine_count or not self.coarse_count:
            return None
        fine, coarse = self.fine / self.fine_count, self.coarse / self.coarse_count
        if not 6 * noise**2 < _LARGEST_NOISE * fine:
            return None
        return _width_of((fine - 6 * noise**2) / (coarse - 6 * noise**2)) if coarse > 6 * noise**2 else None


def equivalent_fwhm(observation: Observation, owner: str) -> float:
    """Return the FWHM of the Gaussian blur, in LR pixels, that `Curvatures` takes for that of an observation.

    Of a Gaussian it is its own.

    Raises
    ------
    InputError
        The kernel is not separable or not symmetric.
    """
    ratios = []
    for taps in separable_taps(observation, owner):
        twice = np.correlate(taps, taps, "full")  # of the differences of two places
        places = (np.arange(len(twice)) - len(twice) // 2) / observation.scale
        spread = [float((twice * np.abs(t + places)).sum()) for t in (0, 1, 2, 4)]
        ratios.append(_ratio(*spread))
    return _width_of(sum(ratios) / len(ratios))


def variance_of(fwhm: float) -> float:
    """Return the variance of a Gaussian of a given width, in the square of its unit."""
    return (fwhm / _FWHM) ** 2


def _width_of(ratio: float) -> float:
    ratios = _gaussian_ratios()
    return float(np.interp(-ratio, -ratios, _WIDTHS))


@cache
def _gaussian_ratios() -> NDArray[np.float64]:
    return np.array([_gaussian_ratio(width) for width in _WIDTHS])


def _gaussian_ratio(fwhm: float) -> float:
    """Return W(1) / W(2) of a Gaussian; the difference of two places has twice its variance."""
    s = math.sqrt(2 * variance_of(fwhm))

    def mean(t: float) -> float:
        return t * math.erf(t / (s * math.sqrt(2))) + s * math.sqrt(2 / math.pi) * math.exp(-(t**2) / (2 * s**2))

    return _ratio(*(mean(t) for t in (0.0, 1.0, 2.0, 4.0)))


def _ratio(at_0: float, at_1: float, at_2: float, at_4: float) -> float:
    return (-3 * at_0 + 4 * at_1 - at_2) / (-3 * at_0 + 4 * at_2 - at_4)
