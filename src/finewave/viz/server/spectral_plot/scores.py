"""The metric table of a view, for the whole result and the selected region."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from finewave.viz.metric_table import metric_values
from finewave.viz.server.spectral_plot.spectra import RegionOfInterest

if TYPE_CHECKING:
    from finewave.viz.scene_pair import ScenePair

MOST_VALUES = 2**25
"""Maximum number of values for metrics in the viewer; `finewave evaluate` has no such limit."""

ROWS = ("psnr", "ssim", "sam", "ergas", "rmse", "cc")
"""Metrics of the page's table."""


def scores(view: ScenePair, region: RegionOfInterest | None = None) -> dict[str, str] | None:
    """Return the metrics of a part of the result against the reference, as text; None if it is too large.

    Parameters
    ----------
    view : ScenePair
        With a reference.
    region : RegionOfInterest, optional
        By default the whole result.

    Returns
    -------
    dict of str to str or None
        By the names of `ROWS`; a dash where a metric is not defined.
    """
    from finewave.inference.tiling.sources import OpenScene
    from finewave.metrics import METRICS

    assert view.reference is not None
    pyramid = view.result.pyramid
    region = region or RegionOfInterest(0, pyramid.width, 0, pyramid.height)
    if (region.x1 - region.x0) * (region.y1 - region.y0) * pyramid.bands > MOST_VALUES:
        return None
    window = slice(region.y0, region.y1), slice(region.x0, region.x1)
    bands = list(range(pyramid.bands))
    pred, target = (OpenScene(layer.scene, bands).read(window) for layer in (view.result, view.reference))
    values = metric_values(pred, target, view.ratio)
    return {name: METRICS[name].text(values.get(name, math.nan)) for name in ROWS}
