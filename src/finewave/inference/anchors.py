"""Measured anchor spectra of a scene: comparison with the model's output, and correction of the result."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finewave.calibration.anchor_correction import fit_correction
from finewave.calibration.residual_kriging import FLOOR
from finewave.errors import InputError
from finewave.inference.processing import Processing
from finewave.inference.spot_places import PlacedSpot, placed
from finewave.inference.tiling.sources import WindowSource
from finewave.inference.tiling.tile_run import read_tile, run_tile
from finewave.inference.tiling.tiles import Tiling, enlarged
from finewave.io.spectral_library import Spectrum
from finewave.io.spots import Spot, check_spectrum, read_spots, refuse_same_places
from finewave.physics.band_resampling import on_bands
from finewave.warnings import FinewaveWarning
from finewave.zoo.observation_model import colour_weights, forward_operators

if TYPE_CHECKING:
    from finewave.inference.request import PredictionRequest

LARGEST_ANGLE = 12.0
"""In degrees, between the colour of a measured spectrum and that of the image at its spot."""
LARGEST_RATIO = 1.5
"""Relative tolerance of their brightness."""
SATURATED = 0.985
"""Part of the model's value range."""
ROUGHEST = 0.25
"""Deviation of the image around a spot by its brightness, beyond which it lies on an edge."""
DOUBT = 9.0
"""How many times the noise of a spot is counted for each reason to doubt it."""
_LEAST_BANDS = 0.5  # part of the bands that a spectrum covers at least


def with_anchors(
    processing: Processing, request: PredictionRequest, tiling: Tiling, anchors: str | Path | Sequence[Spot]
) -> Processing:
    """Return a processing that corrects a result by spots with known spectra.

    The network is run on the tiles in which spots lie, as it will be run for the result.

    Parameters
    ----------
    processing : Processing
        Further processing.
    request : PredictionRequest
    tiling : Tiling
        Of the result.
    anchors : str, Path or sequence of Spot
        A file, see `finewave.io.spots.read_spots`; or what it holds.

    Raises
    ------
    InputError
        There is no spot in the image, a spectrum is of zeros, in percent, or covers less than half of the bands, two
        spots are at one place, or the model's result has no spectral part or no wavelengths.

    Warns
    -----
    FinewaveWarning
        Spots lie outside, or contradict the image: they are named, and count less.
    """
    model = request.model.in_pytorch("--anchors (anchors=)")
    if not model.output.endswith("hsi") or model.task == "sr":
        raise InputError(f"anchors correct spectra that a model makes; {model.name} ({model.task}) makes none")
    spots = read_spots(anchors) if isinstance(anchors, str | Path) else _list_of_spots(anchors)
    if not spots:
        raise InputError("anchors: no spots were given; give at least one")
    for spot in spots:
        check_spectrum(spot.spectrum, f"anchors: {spot.name}")
    refuse_same_places(spots)
    places = placed(spots, request.first, model.upscaling)
    measured = measured_on_bands(places, _centres(request))
    predicted = _predicted(request, tiling, places, processing)
    empty = ~np.isfinite(predicted).all(1)
    if empty.all():
        raise InputError("anchors: the image has no values at the spots")
    panels = np.array([not isinstance(each.spot.spectrum, Spectrum) for each in places])
    colour = colour_weights(model, measured.shape[1])
    doubt = _doubt(request, places, measured, panels)
    kept = np.logical_not(empty)
    if empty.any():
        without = ", ".join(places[i].spot.name for i in np.flatnonzero(empty))
        _warn(f"the image has no values at {without}: these spots do not count; check their coordinates")
    correction = fit_correction(
        measured[kept],
        predicted[kept],
        colour,
        np.array([each.centre for each in places])[kept],
        max(tiling.height, tiling.width) * model.upscaling,
        panels=panels[kept],
        doubt=doubt[kept],
    )
    return replace(processing, anchors=correction)


def _list_of_spots(anchors: object) -> list[Spot]:
    if not isinstance(anchors, Sequence) or not all(isinstance(each, Spot) for each in anchors):
        raise InputError(f"anchors: a file or a list of finewave.io.spots.Spot is accepted, not {anchors!r:.60}")
    return list(anchors)


def measured_on_bands(places: Sequence[PlacedSpot], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the spectra of spots on the bands of a result (n, C); NaN where a spectrum does not reach."""
    rows = []
    for each in places:
        spectrum = each.spot.spectrum
        if not isinstance(spectrum, Spectrum):
            rows.append(np.full(len(centres), float(spectrum)))
            continue
        row = on_bands(spectrum.wavelengths, spectrum.values, centres)
        if np.isfinite(row).mean() < _LEAST_BANDS:
            raise InputError(
                f"anchors: the spectrum of {each.spot.name} ({spectrum.wavelengths[0]:g} to "
                f"{spectrum.wavelengths[-1]:g} nm) covers {np.isfinite(row).sum()} of {len(centres)} bands "
                f"({centres.min():g} to {centres.max():g} nm); at least half are needed"
            )
        rows.append(row)
    return np.stack(rows)


def _centres(request: PredictionRequest) -> NDArray[np.float64]:
    from finewave.inference.band_matching import output_wavelengths

    found = output_wavelengths(request.model, request.first, list(request.bands[request.model.inputs[0]].indices))
    if found is None:
        raise InputError(f"anchors: the wavelengths of the bands of {request.model.name} are not known")
    return found


def _predicted(
    request: PredictionRequest, tiling: Tiling, places: Sequence[PlacedSpot], processing: Processing
) -> NDArray[np.float64]:
    """Return the mean of the model's output over each spot (n, C), from all tiles that it touches; NaN without any."""
    scale = request.model.upscaling
    by_tile: dict[int, list[int]] = {}
    for index, each in enumerate(places):
        rows, columns = (
            range(own.start // scale // tiling.side, (own.stop - 1) // scale // tiling.side + 1) for own in each.window
        )
        for row in rows:
            for column in columns:
                by_tile.setdefault(row * tiling.grid[1] + column, []).append(index)
    plain = Processing(ensemble=processing.ensemble)
    sources = request.sources()
    sums: dict[int, NDArray[np.float64]] = {}
    pixels = np.zeros(len(places))
    for number, indices in by_tile.items():
        tile = tiling[number]
        made = run_tile(request.model, read_tile(sources, tile, tiling), tile, tiling, plain)
        own_rows, own_columns = enlarged(tile.core, scale)
        for index in indices:
            part, count = places[index].sum_in(made.values, (own_rows.start, own_columns.start))
            sums[index] = sums.get(index, 0.0) + part
            pixels[index] += count
    totals = np.stack([sums[index] for index in range(len(places))])
    return np.where(pixels[:, None] > 0, totals / np.maximum(pixels, 1)[:, None], np.nan)


@dataclass(frozen=True)
class _Observed:
    """Values of one input at a spot: its mean (c,), its largest value, and how rough it is around."""

    mean: NDArray[np.float64]
    largest: float
    roughness: float


def _doubt(
    request: PredictionRequest, places: Sequence[PlacedSpot], measured: NDArray[np.float64], panels: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return how much more than usually each spot is doubted, and name those that contradict the image."""
    model = request.model
    doubt = np.ones(len(places))
    name = next((each for each in reversed(model.inputs) if each.endswith("msi")), model.inputs[0])
    source, ratio = request.sources()[name]
    high = model.card.value_range[1] if model.card is not None else 1.0
    try:
        operator = next(
            each for each in forward_operators(model.in_pytorch("--anchors (anchors=)"), "anchors") if each.name == name
        )
    except (InputError, StopIteration):
        operator = None
    for index, each in enumerate(places):
        seen = _observed(source, each, model.upscaling // ratio, request, ratio)
        reasons = []
        if operator is not None and np.isfinite(measured[index]).all() and not panels[index]:
            response = operator.response
            expected = measured[index] if response is None else response @ measured[index]
            reasons += _contradictions(expected, seen.mean)
        if seen.largest >= SATURATED * high:
            reasons.append("the image is saturated there")
        if seen.roughness > ROUGHEST:
            reasons.append("it lies on an edge")
        if reasons:
            doubt[index] = DOUBT ** len(reasons)
            _warn(f"anchors: {each.spot.name} counts less: {' and '.join(reasons)}; check its place and its spectrum")
    return doubt


def _contradictions(expected: NDArray[np.float64], seen: NDArray[np.float64]) -> list[str]:
    """Return how a measured spectrum, simulated for the sensor, differs from the image."""
    if not np.isfinite(seen).all():
        return []
    reasons = []
    lengths = np.linalg.norm(expected) * np.linalg.norm(seen)
    if len(expected) > 1 and lengths > 0:
        angle = float(np.degrees(np.arccos(np.clip(expected @ seen / lengths, -1, 1))))
        if angle > LARGEST_ANGLE:
            reasons.append(f"its colour is {angle:.0f} degrees from the image's")
    ratio = (float(expected.mean()) + FLOOR) / (float(seen.mean()) + FLOOR)
    if not 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO:
        reasons.append(f"it is {ratio:.2g} times as bright as the image")
    return reasons


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


def _warn(message: str) -> None:
    warnings.warn(message, FinewaveWarning, stacklevel=5)
