"""Spots that contradict the image: they are named, and count less or not at all."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finewave.calibration.anchor_correction import LARGEST_GAIN, gain_of
from finewave.calibration.residual_kriging import FLOOR, FloatArray
from finewave.errors import InputError
from finewave.inference.spots.spot_places import PlacedSpot
from finewave.inference.tiling.sources import WindowSource
from finewave.warnings import FinewaveWarning
from finewave.zoo.observation_model import forward_operators

if TYPE_CHECKING:
    from finewave.inference.request import PredictionRequest
    from finewave.zoo.model import Model

LARGEST_ANGLE = 12.0
"""In degrees, between the colour of a measured spectrum and that of the image at its spot."""
LARGEST_RATIO = 1.5
"""Relative tolerance of their brightness. Beyond `LARGEST_GAIN` they do not belong together."""
SATURATED = 0.985
"""Part of the model's value range."""
ROUGHEST = 0.25
"""Deviation of the image around a spot by its brightness, beyond which it lies on an edge."""
DOUBT = 9.0
"""How many times the noise of a spot is counted for each reason to doubt it."""


@dataclass(frozen=True)
class _Observed:
    """Values of one input at a spot: its mean (c,), its largest value, and how rough it is around."""

    mean: FloatArray
    largest: float
    roughness: float


def doubts(
    request: PredictionRequest, places: Sequence[PlacedSpot], measured: FloatArray, predicted: FloatArray
) -> FloatArray:
    """Return how many times the noise of each spot is the usual one's (n,); infinite for one that does not count.

    Spots are compared with the image as panels, if there are any, set it right.

    Parameters
    ----------
    request : PredictionRequest
    places : sequence of PlacedSpot
    measured, predicted : ndarray (n, C)
        Spectra on the bands of the result. Where nothing was measured (NaN), the image is compared with the result, as
        panels set it.

    Raises
    ------
    InputError
        No spot counts.

    Warns
    -----
    FinewaveWarning
        For each spot that is doubted: why.
    """
    model = request.model.in_pytorch("--anchors (anchors=)")
    name = next((each for each in reversed(model.inputs) if each.endswith("msi")), model.inputs[0])
    source, ratio = request.sources()[name]
    high = model.card.value_range[1] if model.card is not None else 1.0
    seen = [_observed(source, each, model.upscaling // ratio, request, ratio) for each in places]
    reasons = [_of_the_image(each, high) for each in seen]
    doubt = DOUBT ** np.array([len(each) for each in reasons], float)
    panels = np.array([each.is_panel for each in places])
    as_set = predicted * gain_of(measured[panels], predicted[panels], doubt[panels])
    expected = _expected(model, name, np.where(np.isfinite(measured), measured, as_set))
    if expected is not None:
        means = np.stack([each.mean for each in seen])
        gain = gain_of(expected[panels], means[panels], doubt[panels])
        for index, place in enumerate(places):
            known = means[index] if place.is_panel else means[index] * gain
            ratio_of_both, found = _contradictions(expected[index], known, place.is_panel)
            reasons[index] = found + reasons[index]
            far = not 1 / LARGEST_GAIN <= ratio_of_both <= LARGEST_GAIN
            doubt[index] = np.inf if far and not place.is_panel else DOUBT ** len(reasons[index])
    if np.isinf(doubt).all():
        raise InputError(
            f"anchors: no spot agrees with the image; {places[0].spot.name}: {' and '.join(reasons[0])}; check places "
            "and unit (reflectance, 0 to 1) of the spectra; a panel among the spots sets the image's scale"
        )
    for place, why, times in zip(places, reasons, doubt, strict=True):
        if why:
            _warn(place, " and ".join(why), bool(np.isfinite(times)))
    return doubt


def _expected(model: Model, name: str, spectra: FloatArray) -> FloatArray | None:
    """Return spectra (n, C) as the sensor sees them (n, c); None where the card does not say how."""
    try:
        operator = next(each for each in forward_operators(model, "anchors") if each.name == name)
    except (InputError, StopIteration):
        return None
    return spectra if operator.response is None else spectra @ np.asarray(operator.response).T


def _of_the_image(seen: _Observed, high: float) -> list[str]:
    """Return what speaks against a place, whatever was measured there."""
    reasons = []
    if seen.largest >= SATURATED * high:
        reasons.append("the image is saturated there")
    if seen.roughness > ROUGHEST:
        reasons.append("it lies on an edge")
    return reasons


def _contradictions(expected: FloatArray, seen: FloatArray, is_panel: bool) -> tuple[float, list[str]]:
    """Return how many times as bright as the image a spectrum is, and how both differ."""
    if not np.isfinite(seen).all():
        return 1.0, []
    reasons = []
    lengths = np.linalg.norm(expected) * np.linalg.norm(seen)
    if len(expected) > 1 and lengths > 0:
        angle = float(np.degrees(np.arccos(np.clip(expected @ seen / lengths, -1, 1))))
        if angle > LARGEST_ANGLE:
            reasons.append(f"its colour is {angle:.0f} degrees from the image's")
    ratio = (float(expected.mean()) + FLOOR) / (float(seen.mean()) + FLOOR)
    most = LARGEST_GAIN if is_panel else LARGEST_RATIO  # how bright the image is, is what a panel is for
    if not 1 / most <= ratio <= most:
        reasons.append(f"it is {ratio:.2g} times as bright as the image")
    return ratio, reasons


def _observed(
    source: WindowSource, place: PlacedSpot, coarser: int, request: PredictionRequest, ratio: int
) -> _Observed:
    """Return the values of an input at a spot; ``coarser`` is the number of result pixels per input pixel."""
    limits = (request.first.sizes["y"] * ratio, request.first.sizes["x"] * ratio)
    own = tuple(
        slice(each.start // coarser, max(-(-each.stop // coarser), each.start // coarser + 1)) for each in place.window
    )
    around = tuple(
        slice(max(each.start - 1, 0), min(each.stop + 1, limit)) for each, limit in zip(own, limits, strict=True)
    )
    values: NDArray[Any] = source.read((around[0], around[1])).astype(np.float64)
    inner = values[
        :,
        own[0].start - around[0].start : own[0].stop - around[0].start,
        own[1].start - around[1].start : own[1].stop - around[1].start,
    ]
    if not np.isfinite(inner).any():
        return _Observed(np.full(len(values), np.nan), 0.0, 0.0)
    deviation = np.nanstd(values, axis=(1, 2)).mean() / (np.nanmean(values) + FLOOR)
    return _Observed(np.nanmean(inner, axis=(1, 2)), float(np.nanmax(inner)), float(deviation))


def _warn(place: PlacedSpot, why: str, counts: bool) -> None:
    effect = "counts less" if counts else "does not count"
    if place.is_panel:
        effect = "is a doubtful panel, and changes the whole result"
    warnings.warn(
        f"anchors: {place.spot.name} {effect}: {why}; check its place and its spectrum", FinewaveWarning, stacklevel=4
    )
