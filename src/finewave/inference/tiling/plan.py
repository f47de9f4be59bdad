"""Division of a scene into tiles and halos for a model."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from finewave.inference.options import check_tiling
from finewave.inference.tiling.tiles import Tiling
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    from finewave.systems.tile_stages import TileStage
    from finewave.zoo.runnable import RunnableModel

OUTPUT_TILE = 512
"""Side of a tile in output pixels, where it has few bands."""
OUTPUT_VALUES = 64 * OUTPUT_TILE**2
"""Numbers of a tile's output, 67 MB: of an image with hundreds of bands, several copies would take gigabytes."""
STEP = 64
"""Sides of tiles that memory limits are multiples of it, in pixels of the output."""
FAST_OVERHEAD = 0.25
"""Pixels that the fast halo adds to a tile, relative to the tile."""
CHEAP = 0.03
"""More arithmetic for a tile, relative to that of the network without a halo, that a stage's exact halo may cost."""
HALO_WITHOUT_REACH = 28
"""Halo in input pixels for networks that use the whole image, whose tiles are never exact.

As much as a quarter of the arithmetic pays at the size of the output. `mstpp-cave` gains nothing from more: a tile of
128 pixels of CAVE's beads differs from the scene in one piece by 7.6e-5 root mean square with 32, 6.2e-5 with 64.
"""


def plan_tiles(
    model: RunnableModel, height: int, width: int, *, tile: int | None = None, halo: str | int = "auto", beyond: int = 0
) -> Tiling:
    """Decide how a scene is cut.

    Parameters
    ----------
    model : RunnableModel
        Says its reach.
    height, width : int
        Of the scene, in pixels.
    tile : int, optional
        Side of a tile in pixels of the scene; by default as many as make `OUTPUT_TILE` pixels of the output, or a
        half or a quarter of it where there are many bands.
    halo : {"auto", "exact", "fast"} or int
        Input of the network around a tile. ``"exact"``: its receptive field, so that tiles equal the untiled
        prediction. ``"auto"``: the halo in the model's card, with which measured tiles differ by at most 1e-4 of the
        range; exact without one. ``"fast"``: a halo that costs `FAST_OVERHEAD` more arithmetic. Otherwise a number of
        pixels of the scene.
    beyond : int
        Margin around a tile in which the network's output is needed, in pixels of the scene; the halo is added to it.

    Returns
    -------
    Tiling
        A single tile, if the scene is no larger than a tile with its halo.

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
        return whole  # the reference is not aligned, so it cannot be tiled
    side = tile or min(model.largest_tile, max(1, default_side(model) // model.upscaling))
    if max(height, width) <= side:
        return whole
    reach = model.reach
    halos = [each + beyond for each in halos_of(model, halo, side)]
    pixels = halos[0]
    border = -(-model.pooling_window // 2) if model.n_global_poolings and model.pooling == "local" else 0
    shares = tuple(stage.share for stage in model.tile_stages)
    tiling = Tiling(height, width, side, pixels, model.size_multiple, min(border, pixels), tuple(halos[1:]), shares)
    # the arithmetic of one tile is no less than that of the scene in one piece
    work = sum(share * (side + 2 * each) ** 2 for share, each in zip(shares, halos, strict=True))
    if tile is None and height * width <= work:
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


def default_side(model: RunnableModel) -> int:
    """Return the side of a tile in output pixels, by the number of bands."""
    side = OUTPUT_TILE
    bands = model.bands_of(model.output) or 1  # unknown for networks of any bands
    while bands * side**2 > OUTPUT_VALUES and side > OUTPUT_TILE // 4:
        side //= 2
    return side


def what_comes_closest(model: RunnableModel) -> str:
    """Return advice for a network whose tiles cannot be exact."""
    if (
        model.receptive_field is not None
        and model.pooling == "image"
        and model.n_global_poolings
        and model.shift_equivariant
    ):
        return "pooling='local' makes them equal"
    return "a tile as large as memory allows comes closest"


def halos_of(model: RunnableModel, halo: str | int, side: int) -> list[int]:
    """Return the halo of each of the model's stages, in pixels of the first input; none larger than those before.

    Parameters
    ----------
    model : RunnableModel
    halo : {"auto", "exact", "fast"} or int
        As in `plan_tiles`.
    side : int
        Of a tile.
    """
    stages = model.tile_stages
    most = [HALO_WITHOUT_REACH if stage.halo is None else stage.halo for stage in stages]
    if halo == "auto":
        return _never_growing(model.measured_halos or most)
    if halo == "exact":
        return most
    if halo == "fast":
        few = int(side * (math.sqrt(1 + FAST_OVERHEAD) - 1) / 2)
        exact = n_cheap(stages, side)
        return _never_growing([each if i < exact else min(each, few) for i, each in enumerate(most)])
    assert isinstance(halo, int)
    return [halo, *(min(halo, each) for each in most[1:])]


def n_cheap(stages: Sequence[TileStage], side: int) -> int:
    """Return how many of the first stages add next to nothing to the work for a tile by their exact halo.

    Only the first: no stage's halo is smaller than those of later ones.
    """
    number = 0
    for stage in stages:
        more = math.inf if stage.halo is None else (1 + 2 * stage.halo / side) ** 2 - 1
        if stage.share * more >= CHEAP:
            break
        number += 1
    return number


def _never_growing(halos: list[int]) -> list[int]:
    """Return halos, each at least as large as every later one, as the output of a stage can only be cropped."""
    return [max(halos[i:]) for i in range(len(halos))]
