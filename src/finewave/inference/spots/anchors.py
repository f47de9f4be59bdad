"""Measured anchor spectra of a scene: comparison with the model's output, and correction of the result."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finewave.calibration.anchor_correction import fit_correction
from finewave.errors import InputError
from finewave.inference.processing import Processing
from finewave.inference.spots.spot_doubts import doubts
from finewave.inference.spots.spot_places import PlacedSpot, placed
from finewave.inference.tiling.tile_run import read_tile, run_tile
from finewave.inference.tiling.tiles import Tiling, enlarged
from finewave.io.ground.spectral_library import Spectrum
from finewave.io.ground.spots import Spot, check_spectrum, read_spots, refuse_same_places
from finewave.physics.band_resampling import on_bands
from finewave.warnings import FinewaveWarning
from finewave.zoo.observation_model import colour_weights

if TYPE_CHECKING:
    from finewave.inference.request import PredictionRequest

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
        A file, see `finewave.io.ground.spots.read_spots`; or what it holds.

    Raises
    ------
    InputError
        There is no spot in the image, a spectrum is of zeros, in percent, or covers less than half of the bands, two
        spots are at one place, all contradict the image by far, or the model's result has no spectral part or no
        wavelengths.

    Warns
    -----
    FinewaveWarning
        Spots lie outside, or contradict the image: they are named, and count less or, by far, not at all.
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
    if empty.any():
        without = ", ".join(places[i].spot.name for i in np.flatnonzero(empty))
        warnings.warn(
            f"the image has no values at {without}: these spots do not count; check their coordinates",
            FinewaveWarning,
            stacklevel=3,
        )
    kept = np.logical_not(empty)
    places, measured, predicted = [places[i] for i in np.flatnonzero(kept)], measured[kept], predicted[kept]
    panels = np.array([each.is_panel for each in places])
    doubt = doubts(request, places, measured, predicted)
    kept = np.isfinite(doubt)
    correction = fit_correction(
        measured[kept],
        predicted[kept],
        colour_weights(model, measured.shape[1]),
        np.array([each.centre for each in places])[kept],
        max(tiling.height, tiling.width) * model.upscaling,
        panels=panels[kept],
        doubt=doubt[kept],
    )
    return replace(processing, anchors=correction)


def _list_of_spots(anchors: object) -> list[Spot]:
    if not isinstance(anchors, Sequence) or not all(isinstance(each, Spot) for each in anchors):
        raise InputError(f"anchors: a file or a list of finewave.io.ground.spots.Spot is accepted, not {anchors!r:.60}")
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
    from finewave.inference.matching.band_matching import output_wavelengths

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
