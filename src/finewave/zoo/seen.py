"""Which pixels a network has seen in training, in few numbers, and which are unlike all of them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DARK = 0.01
"""Offset before the square root, which makes the variation of bright and dark pixels similar."""
_PIXELS = 20_000
_TURNS = 20
_MARGIN = 1.25
"""Tolerated factor beyond the distance of 99.9 % of the training pixels."""

_BANDS = 12
"""At most: of more, neighbours are averaged to as many groups, so that a card stays small."""
_AT_ONCE = 1 << 14  # pixels
_LEAST, _LEAST_LIMIT = 1e-3, 0.1
"""Of spread and limit: scenes of one value are no reason to refuse the next digit."""


@dataclass(frozen=True)
class SeenPixels:
    """Centres of the training pixels, in roots of the bands, each band in units of its spread over those pixels.

    Attributes
    ----------
    centres : list of list of float
        K centres of c bands, or of groups of neighbouring ones, by k-means.
    spread : list of float
        Standard deviation of the root of each band or group.
    limit : float
        Distance from the nearest centre beyond which a pixel counts as unlike the training data.
    """

    centres: list[list[float]]
    spread: list[float]
    limit: float

    @classmethod
    def of(cls, pixels: NDArray[Any], count: int = 64, seed: int = 0) -> SeenPixels:
        """Return those of training pixels (N, c), N >= 1; pixels that are not finite are left out."""
        from scipy.cluster.vq import kmeans2

        random = np.random.default_rng(seed)
        known = pixels[np.isfinite(pixels).all(1)]
        roots = _roots(_grouped(known, min(known.shape[1], _BANDS)))
        roots = roots[random.permutation(len(roots))[:_PIXELS]]
        spread = np.maximum(roots.std(0), _LEAST)
        scaled = roots / spread
        start = scaled[: min(count, len(scaled))]  # in random order already
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a centre of no pixel is left out below
            centres, nearest = kmeans2(scaled, start, iter=_TURNS, minit="matrix", missing="warn")
        used = np.unique(nearest)
        limit = _MARGIN * np.quantile(_distances(scaled, centres[used]), 0.999)
        return cls(
            np.round(centres[used], 3).tolist(), np.round(spread, 6).tolist(), round(max(float(limit), _LEAST_LIMIT), 3)
        )

    @classmethod
    def from_card(cls, stored: Mapping[str, Any]) -> SeenPixels:
        """Restore from `to_card`."""
        return cls(**stored)

    def to_card(self) -> dict[str, Any]:
        """Return it for the section ``data`` of a card."""
        return asdict(self)

    def unlike(self, image: NDArray[Any]) -> NDArray[np.bool_]:
        """Tell of each pixel of an image (c, h, w) whether it is unlike all that was seen; False where not finite."""
        return self.distances(image) > 1  # of NaN: no

    def distances(self, image: NDArray[Any]) -> NDArray[np.float64]:
        """Return the distance (h, w) of each pixel of an image (c, h, w) from the nearest centre; 1 is the limit.

        NaN where a pixel is not finite.
        """
        pixels = image.reshape(len(image), -1).T
        finite = np.isfinite(pixels).all(1)
        result = np.full(len(pixels), np.nan)
        roots = _roots(_grouped(pixels[finite], len(self.spread)))
        result[finite] = _distances(roots / self.spread, self.centres) / self.limit
        return result.reshape(image.shape[1:])


def _grouped(pixels: NDArray[Any], count: int) -> NDArray[Any]:
    """Return pixels (N, c) as they are, or means (N, count) over groups of neighbouring bands if they have more."""
    bands = pixels.shape[1]
    if bands <= count:
        return pixels
    groups = np.array_split(np.arange(bands), count)
    return np.stack([pixels[:, group].mean(1, dtype=np.float64) for group in groups], 1)


def _roots(pixels: NDArray[Any]) -> NDArray[np.float64]:
    return np.sqrt(np.maximum(pixels.astype(np.float64), 0) + DARK)


def _distances(points: NDArray[np.float64], centres: Sequence[Any] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance (N,) of each point from the nearest centre."""
    known = np.asarray(centres)
    nearest = np.empty(len(points))
    for start in range(0, len(points), _AT_ONCE):
        part = points[start : start + _AT_ONCE]
        products = part @ known.T
        nearest[start : start + _AT_ONCE] = (part * part).sum(1) + ((known * known).sum(1) - 2 * products).min(1)
    return np.sqrt(nearest.clip(min=0))
