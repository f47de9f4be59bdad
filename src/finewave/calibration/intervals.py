"""How wrong a value may be: intervals that held on scenes the model had not seen (split conformal prediction).

The absolute error of each pixel and band, divided by the pixel's brightness, is sorted into classes of brightness and
distance from the training pixels; of each class and band the quantile that a stated share of the errors does not exceed
is kept (V. Vovk, "Conditional validity of conformal predictors", Machine Learning 92, 2013, section 4). Errors of one
scene go together, so that scenes, not pixels, are what is exchanged: quantiles are moved slightly outwards, until
each scene, with the classes of the others alone, is covered as often as stated on average.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finewave.calibration.residual_kriging import FLOOR, FloatArray
from finewave.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

SHARES = (0.5, 0.8, 0.9, 0.95)
DARK = 0.01  # added before roots are taken, as where training pixels are described
_CLASSES = (5, 3)  # of brightness and of distance
_LEAST_LEFT = 0.3
"""Part of an error's variance that remains where spots are measured: what materials of one colour differ by."""


@dataclass(frozen=True)
class HeldOutErrors:
    """Errors of one scene that a model did not see in training.

    Attributes
    ----------
    name : str
    relative : ndarray (C, P)
        Absolute errors of its pixels, or a sample of them, by brightness.
    brightness, distance : ndarray (P,)
        Of each pixel, see `Intervals`.
    """

    name: str
    relative: NDArray[np.float32]
    brightness: FloatArray
    distance: FloatArray


@dataclass(frozen=True)
class Intervals:
    """Half-widths for the errors of a model, as its card stores them.

    Attributes
    ----------
    centres, spread : list
        Of training pixels: K centres of c bands in roots of ``colour + DARK``, in units of the spread of each band.
    brightness_edges, distance_edges : list of float
        Between classes.
    half_widths : dict of str to list (C, classes)
        For each share, by brightness (``+ FLOOR``).
    calibration : dict
        What it was made of: ``dataset``, ``scenes``, and ``coverage``: for each share that of each scene left out.
    """

    centres: list[list[float]]
    spread: list[float]
    brightness_edges: list[float]
    distance_edges: list[float]
    half_widths: dict[str, list[list[float]]]
    calibration: dict[str, Any]

    def to_card(self) -> dict[str, Any]:
        """Return it as JSON has it: each row of numbers as one text, so that a card can still be read."""
        stored = asdict(self)
        stored["centres"] = _as_text(self.centres)
        stored["half_widths"] = {share: _as_text(table) for share, table in self.half_widths.items()}
        return stored

    @classmethod
    def from_card(cls, stored: Mapping[str, Any]) -> Intervals:
        """Return what `to_card` stored."""
        tables = {share: _as_rows(table) for share, table in stored["half_widths"].items()}
        return cls(**{**stored, "centres": _as_rows(stored["centres"]), "half_widths": tables})

    def table(self, share: float) -> FloatArray:
        """Return the half-widths (C, classes) of a share; one that is not stored is an `InputError`."""
        for stored, widths in self.half_widths.items():
            if abs(float(stored) - share) < 1e-9:
                return np.asarray(widths)
        raise InputError(f"uncertainty={share:g}: the card has half-widths for {', '.join(self.half_widths)}")

    def half_width(self, image: Tensor, colours: Tensor, share: float, left: Tensor | None = None) -> Tensor:
        """Return half-widths (1, C, H, W) of the values of a result.

        Parameters
        ----------
        image : Tensor (1, C, H, W)
            The result.
        colours : Tensor (c, H, W)
            As the sensor sees it.
        share : float
            Of the errors that are no larger.
        left : Tensor (H, W), optional
            Part of the variance that measured spots leave.
        """
        import torch

        brightness = colours.clamp(min=0).mean(0).double().numpy()
        distance = distance_from(self.centres, self.spread, colours.flatten(1).T.double().numpy())
        classes = self._classes(brightness.ravel(), distance).reshape(brightness.shape)
        widths = self.table(share)[:, classes] * (brightness + FLOOR)
        result = torch.from_numpy(widths)[None].to(image)
        if left is None:
            return result
        return result * (_LEAST_LEFT + (1 - _LEAST_LEFT) * left.to(image)).sqrt()

    def _classes(self, brightness: FloatArray, distance: FloatArray) -> NDArray[np.int64]:
        return _classes(self.brightness_edges, self.distance_edges, brightness, distance)


def _as_text(rows: list[list[float]]) -> list[str]:
    return [" ".join(f"{value:g}" for value in row) for row in rows]


def _as_rows(texts: list[str]) -> list[list[float]]:
    return [[float(value) for value in text.split()] for text in texts]


def distance_from(centres: Sequence[Any], spread: Sequence[float], pixels: FloatArray) -> FloatArray:
    """Return how far pixels (N, c) are from the nearest centre of the training pixels (N,)."""
    points = np.sqrt(np.maximum(pixels, 0) + DARK) / np.asarray(spread)
    nearest = np.full(len(points), np.inf)
    for centre in np.asarray(centres):
        nearest = np.minimum(nearest, np.square(points - centre).sum(1))
    return np.sqrt(nearest)


def calibrated(
    scenes: Sequence[HeldOutErrors], centres: list[list[float]], spread: list[float], dataset: str
) -> Intervals:
    """Return intervals from the errors of scenes held out.

    Raises
    ------
    InputError
        There are fewer than three scenes.
    """
    if len(scenes) < 3:
        raise InputError(f"{len(scenes)} scenes were given; intervals need three that the model did not see, or more")
    edges = _edges(scenes)
    half_widths, coverage = {}, {}
    for share in SHARES:
        level, covered = _level_for(scenes, share)
        half_widths[f"{share:g}"] = np.round(_quantiles(scenes, edges, level), 4).tolist()
        coverage[f"{share:g}"] = {
            scene.name: round(float(value), 4) for scene, value in zip(scenes, covered, strict=True)
        }
    facts = {"dataset": dataset, "scenes": [scene.name for scene in scenes], "coverage": coverage}
    return Intervals(centres, spread, edges[0].tolist(), edges[1].tolist(), half_widths, facts)


def coverage_left_out(scenes: Sequence[HeldOutErrors], level: float) -> FloatArray:
    """Return how large a part of each scene's errors the quantiles of the other scenes cover."""
    covered = []
    for scene in scenes:
        others = [each for each in scenes if each is not scene]
        edges = _edges(others)
        table = _quantiles(others, edges, level)
        classes = _classes(*edges, scene.brightness, scene.distance)
        covered.append((scene.relative <= table[:, classes]).mean())
    return np.asarray(covered)


def _level_for(scenes: Sequence[HeldOutErrors], share: float) -> tuple[float, FloatArray]:
    """Return the quantile by which scenes left out are covered as often as stated, and how often each is.

    Of n scenes the next one is as likely as any to be the worst: (1 - share) / n is added, as in conformal prediction.
    """
    target_share = share + (1 - share) / len(scenes)
    low, high = share, 1.0
    for _ in range(7):
        middle = (low + high) / 2
        if coverage_left_out(scenes, middle).mean() < target_share:
            low = middle
        else:
            high = middle
    return high, coverage_left_out(scenes, high)


def _edges(scenes: Sequence[HeldOutErrors]) -> tuple[FloatArray, FloatArray]:
    found = []
    for values, classes in zip(
        ([each.brightness for each in scenes], [each.distance for each in scenes]), _CLASSES, strict=True
    ):
        parts = np.linspace(0, 1, classes + 1)[1:-1]
        found.append(np.round(np.quantile(np.concatenate(values), parts), 5))
    return found[0], found[1]


def _classes(
    brightness_edges: Sequence[float] | FloatArray,
    distance_edges: Sequence[float] | FloatArray,
    brightness: FloatArray,
    distance: FloatArray,
) -> NDArray[np.int64]:
    rows, columns = np.searchsorted(brightness_edges, brightness), np.searchsorted(distance_edges, distance)
    return rows * (len(distance_edges) + 1) + columns


def _quantiles(scenes: Sequence[HeldOutErrors], edges: tuple[FloatArray, FloatArray], level: float) -> FloatArray:
    """Return the quantiles (C, classes); a class without pixels takes the largest of its band."""
    labels = np.concatenate([_classes(*edges, each.brightness, each.distance) for each in scenes])
    values = np.concatenate([each.relative for each in scenes], axis=1)
    count = (len(edges[0]) + 1) * (len(edges[1]) + 1)
    table = np.full((len(values), count), np.nan)
    for label in range(count):
        own = values[:, labels == label]
        if own.shape[1]:
            table[:, label] = np.quantile(own, level, axis=1)
    return np.where(np.isnan(table), np.nanmax(table, axis=1, keepdims=True), table)
