"""Effect of a halo smaller than the receptive field, measured on one tile of the scene."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from finewave.inference.tiling.plan import halos_of
from finewave.inference.tiling.sources import WindowSource
from finewave.inference.tiling.tile_run import read_tile, run_tile
from finewave.inference.tiling.tiles import Tiling
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    from finewave.zoo.runnable import RunnableModel


def halo_difference(
    model: RunnableModel, sources: Mapping[str, tuple[WindowSource, int]], tiling: Tiling, exact: Tiling
) -> tuple[float, float] | None:
    """Return root mean square and largest absolute difference in the middle tile between two halos.

    Parameters
    ----------
    model : RunnableModel
    sources : mapping of str to (WindowSource, int)
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


def warn_halo_error(
    model: RunnableModel, sources: Mapping[str, tuple[WindowSource, int]], tiling: Tiling, beyond: int = 0
) -> None:
    """Warn about the effect of an inexact halo, unless the halo is exact or known from the card, or none can be exact.

    ``beyond`` is that of `plan_tiles`; only the network's output is measured.
    """
    reach = model.reach
    if len(tiling) == 1 or reach is None or not model.shift_equivariant:
        return
    halos = [each - beyond for each in (tiling.halo, *tiling.later)]
    most, enough = (halos_of(model, halo, tiling.side) for halo in ("exact", "auto"))
    if all(each >= least for each, least in zip(halos, enough, strict=True)):
        return
    border = -(-model.pooling_window // 2) if model.n_global_poolings and model.pooling == "local" else 0
    exact = replace(tiling, halo=most[0], later=tuple(most[1:]), border=border)
    seen = replace(tiling, halo=halos[0], later=tuple(halos[1:]), border=min(border, halos[0]))
    measured = halo_difference(model, sources, seen, exact)
    found = (
        ""
        if measured is None
        else f"in a tile in the middle of the scene, values change by {measured[0]:.2g} root "
        f"mean square, {measured[1]:.2g} at most; "
    )
    widened = replace(exact, halo=reach + beyond, later=tuple(each + beyond for each in most[1:]))
    warnings.warn(
        f"the network reaches {reach} pixels and sees {halos[-1]} around a tile: {found}it does "
        f"{1 + tiling.overhead:.2f} times the scene's arithmetic instead of "
        f"{1 + widened.overhead:.2f} times (halo='exact' leaves no difference)",
        FinewaveWarning,
        stacklevel=4,
    )
