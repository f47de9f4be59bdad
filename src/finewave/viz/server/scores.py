"""The metric table of a view: the whole result, and the chosen region."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from finewave.viz.server.spectra import Region

if TYPE_CHECKING:
    from finewave.viz.layers import View

MOST_VALUES = 2**25
"""Values of a part for which metrics are computed on the page; `finewave evaluate` has no such limit."""

ROWS = {
    "psnr": ("PSNR", "dB", 2),
    "ssim": ("SSIM", "", 4),
    "sam": ("SAM", "°", 2),
    "ergas": ("ERGAS", "", 2),
    "rmse": ("RMSE", "", 4),
    "cc": ("CC", "", 4),
}
"""Metrics of the table: what each is called, its unit, its decimals."""


def scores(view: View, region: Region | None = None) -> dict[str, str] | None:
    """Return the metrics of a part of the result against the reference, as text; None where it is too large.

    Parameters
    ----------
    view : View
        With a reference.
    region : Region, optional
        By default the whole result.

    Returns
    -------
    dict of str to str or None
        By the names of `ROWS`; a dash where a metric is not defined.
    """
    from finewave.errors import InputError
    from finewave.inference.tiling.sources import OpenScene
    from finewave.metrics import score_images

    assert view.reference is not None
    pyramid = view.result.pyramid
    region = region or Region(0, pyramid.width, 0, pyramid.height)
    if (region.x1 - region.x0) * (region.y1 - region.y0) * pyramid.bands > MOST_VALUES:
        return None
    window = slice(region.y0, region.y1), slice(region.x0, region.x1)
    bands = list(range(pyramid.bands))
    pred, target = (OpenScene(layer.scene, bands).read(window) for layer in (view.result, view.reference))
    try:
        values = next(iter(score_images(pred, target, view.ratio))).values
    except InputError:  # no pixel has a value in both
        values = dict.fromkeys(ROWS, math.nan)
    return {name: _text(values[name], decimals) for name, (_, _, decimals) in ROWS.items()}


def _text(value: float, decimals: int) -> str:
    return "–" if math.isnan(value) else "∞" if math.isinf(value) else f"{value:.{decimals}f}"
