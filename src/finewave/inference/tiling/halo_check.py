"""What a halo smaller than the network's reach changes, measured on one tile of the scene at hand."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from finewave.inference.tiling.sources import Source
from finewave.inference.tiling.tile_run import read_tile, run_tile
from finewave.inference.tiling.tiles import Tiling
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    from finewave.zoo.model import Model


def halo_difference(
    model: Model, sources: Mapping[str, tuple[Source, int]], tiling: Tiling, exact: Tiling
) -> tuple[float, float] | None:
    """Return root mean square and largest absolute difference in the middle tile between two halos.

    Parameters
    ----------
    model : Model
    sources : mapping of str to (Source, int)
        The inputs by name, with how many of their pixels stand on one of the tiling, per axis.
    tiling, exact : Tiling
        With the same tiles.

    Returns
    -------
    (float, float) or None
        In the output's unit; None if no pixel of the tile has a value.
    """
    rows, columns = tiling.grid
    number = rows // 2 * columns + columns // 2
    results = []
    for each in (tiling, exact):
        tile = each[number]
        images = read_tile(sources, tile, each)
        results.append(run_tile(model, images, tile, each)[0].astype(np.float64))
    difference = results[0] - results[1]
    difference = difference[np.isfinite(difference)]
    if not difference.size:
        return None
    return float(np.sqrt(np.square(difference).mean())), float(np.abs(difference).max())


def warn_halo_error(model: Model, sources: Mapping[str, tuple[Source, int]], tiling: Tiling, beyond: int = 0) -> None:
    """Warn of what a halo that is not exact changes; nothing, if it is, or if no halo would be.

    ``beyond`` is that of `plan_tiles`; what is measured is the network's answer alone.
    """
    reach = model.reach
    halo = tiling.halo - beyond
    if len(tiling) == 1 or reach is None or not model.shift_equivariant or halo >= reach:
        return
    border = -(-model.pooling_window // 2) if model.n_global_poolings and model.pooling == "local" else 0
    exact = replace(tiling, halo=reach, border=border)
    measured = halo_difference(model, sources, replace(tiling, halo=halo, border=min(border, halo)), exact)
    found = (
        ""
        if measured is None
        else f"in a tile in the middle of the scene, values change by {measured[0]:.2g} root "
        f"mean square, {measured[1]:.2g} at most; "
    )
    warnings.warn(
        f"the network reaches {reach} pixels and sees {halo} around a tile: {found}it works on "
        f"{1 + tiling.overhead:.2f} times the scene's pixels instead of "
        f"{1 + replace(exact, halo=reach + beyond).overhead:.2f} times (halo='exact' leaves no difference)",
        FinewaveWarning,
        stacklevel=4,
    )
