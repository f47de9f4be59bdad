"""Maps of error and spectral angle between a result and its reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finewave.viz.error_maps import angle_map, rmse_map
from finewave.viz.pyramid import halved
from finewave.viz.windows import Frame, Window, read_window, window_of

if TYPE_CHECKING:
    from finewave.viz.scene_pair import ScenePair

MAPS = {
    "error": "RMSE over all bands",
    "error-band": "Absolute error of the band",
    "angle": "Spectral angle (°)",
    "band": "Values of the band",
    "half-width": "Half-width, mean of all bands",
    "half-width-band": "Half-width of the band",
}
"""Maps by name, with the label of the colour bar."""
NEEDS_REFERENCE = frozenset({"error", "error-band", "angle"})
NEEDS_HALF_WIDTH = frozenset({"half-width", "half-width-band"})
OF_ONE_BAND = frozenset({"band", "error-band", "half-width-band"})
_MOST_VALUES = 2**25  # values read for one map, which takes about a second


@dataclass(frozen=True)
class Map:
    """Values (y, x) in a window; `averaged` is the number of pixels per axis averaged before comparison."""

    values: NDArray[np.float32]
    window: Window
    averaged: int


def offered_maps(view: ScenePair) -> dict[str, str]:
    """Return the maps that can be made of a view, by name, with their labels."""
    missing = (NEEDS_REFERENCE if view.reference is None else frozenset()) | (
        NEEDS_HALF_WIDTH if view.half_width is None else frozenset()
    )
    return {kind: label for kind, label in MAPS.items() if kind not in missing}


def make_map(view: ScenePair, kind: str, band: float, frame: Frame) -> Map | None:
    """Return the map of a frame; None if the frame does not show the result.

    Errors are those of single pixels, averaged for the screen afterwards, if at most 33 million values have to be read;
    otherwise pixels are averaged first, see `Map.averaged`.

    Parameters
    ----------
    view : ScenePair
    kind : str
        One of `MAPS`.
    band : float
        Position on the result's axis.
    frame : Frame

    Returns
    -------
    Map or None
    """
    result = view.result
    bands = [result.nearest(band)] if kind in OF_ONE_BAND else list(range(result.pyramid.bands))
    shown = window_of(result, frame)
    if shown is None:
        return None
    # means of these are made of means; errors have to be those of single pixels
    level = _finest(view, shown, len(bands)) if kind in NEEDS_REFERENCE else shown.level
    step = 1 << (shown.level - level)
    height, width = result.pyramid.size(level)
    rows = slice(shown.rows.start * step, min(shown.rows.stop * step, height))
    columns = slice(shown.columns.start * step, min(shown.columns.stop * step, width))
    fine = Window(level, rows, columns, shown.x0, shown.x1, shown.y0, shown.y1)
    values = _values(view, kind, fine, bands)
    for _ in range(shown.level - level):
        values = halved(values)
    return Map(values, shown, 1 << level)


def _finest(view: ScenePair, shown: Window, bands: int) -> int:
    pixels = (shown.rows.stop - shown.rows.start) * (shown.columns.stop - shown.columns.start) << (2 * shown.level)
    level = 0
    while level < shown.level and 2 * bands * (pixels >> (2 * level)) > _MOST_VALUES:
        level += 1
    return level


def _values(view: ScenePair, kind: str, window: Window, bands: list[int]) -> NDArray[np.float32]:
    """Return a map in single pixels of a window's level, strip by strip."""
    rows = window.rows.stop - window.rows.start
    columns = window.columns.stop - window.columns.start
    result = np.empty((rows, columns), np.float32)
    strip = max(1, 2**22 // (columns * len(bands)))
    for top in range(0, rows, strip):
        ys = slice(window.rows.start + top, min(window.rows.start + top + strip, window.rows.stop))
        part = Window(window.level, ys, window.columns, window.x0, window.x1, window.y0, window.y1)
        if kind in NEEDS_HALF_WIDTH:
            assert view.half_width is not None  # the page offers these maps with half-widths only
            result[top : top + ys.stop - ys.start] = read_window(view.half_width, part, bands).mean(0)
            continue
        pred = read_window(view.result, part, bands)
        if kind in NEEDS_REFERENCE:
            assert view.reference is not None  # the page offers these maps with a reference only
            target = read_window(view.reference, part, bands)
            result[top : top + pred.shape[1]] = (angle_map if kind == "angle" else rmse_map)(pred, target)
        else:
            result[top : top + pred.shape[1]] = pred[0]
    return result


def colour_limit(view: ScenePair, kind: str, band: float) -> tuple[float, float]:
    """Return the values at the ends of the colour bar, for the whole image, so that panning does not change them.

    Returns
    -------
    tuple of float
        0, or the 1st percentile of a band with negative values, to the 99.5th percentile.
    """
    pyramid = view.result.pyramid
    frame = Frame(0, pyramid.width, 0, pyramid.height, 512, 512)
    map_ = make_map(view, kind, band, frame)
    known = map_.values[np.isfinite(map_.values)] if map_ is not None else np.empty(0)
    if not known.size:
        return 0.0, 1.0
    low, high = min(0.0, float(np.percentile(known, 1))), float(np.percentile(known, 99.5))
    return low, high if high > low else low + 1.0
