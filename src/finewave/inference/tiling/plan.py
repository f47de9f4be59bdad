"""How a scene is cut for a model: tiles, and how far beyond them the network looks."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

from finewave.inference.options import check_tiling
from finewave.inference.tiling.tiles import Tiling
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    from finewave.zoo.model import Model

OUTPUT_TILE = 512
"""Side of a tile in output pixels."""
FAST_OVERHEAD = 0.25
"""Pixels that the fast halo adds to a tile, as a part of it."""
HALO_WITHOUT_REACH = 64
"""In input pixels, for networks that look at the whole image: no halo makes their tiles exact."""


def plan_tiles(
    model: Model, height: int, width: int, *, tile: int | None = None, halo: str | int = "exact", beyond: int = 0
) -> Tiling:
    """Decide how a scene is cut.

    Parameters
    ----------
    model : Model
        Says its reach.
    height, width : int
        Of the scene, in pixels.
    tile : int, optional
        Side of a tile in pixels of the scene; by default as many as make `OUTPUT_TILE` pixels of the output.
    halo : {"exact", "fast"} or int
        What the network sees around a tile. ``"exact"``: its reach, so that tiles equal the scene in one piece.
        ``"fast"``: as much as makes `FAST_OVERHEAD` more pixels. Otherwise a number of pixels of the scene.
    beyond : int
        How far around a tile the network's output is needed, in pixels of the scene; the halo lies around that.

    Returns
    -------
    Tiling
        One tile, where the scene is no larger than what the network sees for a tile anyway.

    Raises
    ------
    InputError
        If tile or halo is out of range.

    Warns
    -----
    FinewaveWarning
        If the scene is cut and no halo makes the network's tiles equal the scene in one piece.
    """
    check_tiling(tile, halo)
    whole = Tiling(height, width, max(height, width), 0, model.size_multiple)
    if "ref_rgb" in model.inputs:
        return whole  # the reference is not aligned: no part of it belongs to a tile
    side = tile or max(1, OUTPUT_TILE // model.upscaling)
    reach = model.reach
    pixels = _halo(halo, side, reach) + beyond
    border = -(-model.pooling_window // 2) if model.n_global_poolings and model.pooling == "local" else 0
    tiling = Tiling(height, width, side, pixels, model.size_multiple, min(border, pixels))
    fits = max(height, width) <= side if tile is not None else height * width <= (side + 2 * pixels) ** 2
    if fits:
        return whole
    if reach is None or not model.shift_equivariant:
        why = "looks at the whole image" if reach is None else "divides what it sees into parts, counted from a corner"
        warnings.warn(
            f"{model.name} {why}, so tiles differ from the scene in one piece; they see {pixels} pixels around them "
            f"({what_comes_closest(model)}); a larger tile= differs less",
            FinewaveWarning,
            stacklevel=3,
        )
    return tiling


def what_comes_closest(model: Model) -> str:
    """Return what to do about a network whose tiles cannot be exact."""
    if (
        model.receptive_field is not None
        and model.pooling == "image"
        and model.n_global_poolings
        and model.shift_equivariant
    ):
        return "pooling='local' makes them equal"
    return "a tile as large as memory allows comes closest"


def _halo(halo: str | int, side: int, reach: int | None) -> int:
    most = HALO_WITHOUT_REACH if reach is None else reach
    if halo == "exact":
        return most
    if halo == "fast":
        return min(most, int(side * (math.sqrt(1 + FAST_OVERHEAD) - 1) / 2))
    assert isinstance(halo, int)
    return halo
