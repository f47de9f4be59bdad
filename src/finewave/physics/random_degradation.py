"""Random degradations, for training networks for an unknown degradation.

Source of the ranges: the public code of "Multiscale Factor Joint Learning for Hyperspectral Image Super-Resolution"
(qianngli/MulSR). Two errors are corrected: its isotropic kernels have their peak in a corner, and its anisotropic
kernels are shifted as for strided sampling even before bicubic or bilinear sampling; both displace the LR image.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

SIZES = (7, 9, 13, 15, 21)
LEAST_VARIANCE = 0.2
SAMPLINGS = ("bicubic", "bilinear", "strided")
NOISE_PROBABILITY = 0.8
NOISE_LEVELS = (1, 2, 3, 4)  # in 1/255


def random_degradation(random: np.random.Generator, scale: int) -> dict[str, Any]:
    """Draw options for `finewave.physics.degradation.degrade`.

    Parameters
    ----------
    random : numpy.random.Generator
        Every call advances it by the same number of draws.
    scale : int
        s.

    Returns
    -------
    dict
        An anisotropic Gaussian of one of the `SIZES`: isotropic in half of the draws, with a standard deviation from
        [0.2, s], else with two variances from [0.2, s] and any angle; one of the `SAMPLINGS`; noise in 80 % of the
        draws, with a standard deviation of 1 to 4 in 255; values clipped to [0, 1].
    """
    size, sampling = random.choice(SIZES), random.choice(SAMPLINGS)
    isotropic, noisy = random.uniform() < 0.5, random.uniform() < NOISE_PROBABILITY
    first, second = random.uniform(LEAST_VARIANCE, scale, 2)
    angle, level, seed = random.uniform(0, math.pi), random.choice(NOISE_LEVELS), random.integers(2**31)
    return {
        "kernel": "anisotropic-gaussian",
        "size": int(size),
        "variances": (first**2, first**2) if isotropic else (first, second),
        "angle": 0.0 if isotropic else angle,
        "sampling": str(sampling),
        "noise": level / 255 if noisy else 0.0,
        "seed": int(seed),
        "clip": True,
    }
