"""A large image in overlapping tiles, so that the network's memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Tile(NamedTuple):
    """What one tile keeps (``core``) and what the network sees for it (``seen``): (rows, columns) slices."""

    core: tuple[slice, slice]
    seen: tuple[slice, slice]


def tiles_of(height: int, width: int, tile: int, halo: int, multiple: int = 1) -> Iterator[Tile]:
    """Yield tiles whose cores cover an image of ``height`` x ``width`` pixels once, row by row.

    Parameters
    ----------
    height, width : int
        Of the image; multiples of ``multiple``.
    tile : int
        Side of a core, in pixels; rounded up to a multiple of ``multiple``.
    halo : int
        What the network sees beyond the core, as far as the image reaches; rounded up likewise.
    multiple : int
        All cuts are at multiples of it.
    """
    tile, halo = (-(-n // multiple) * multiple for n in (tile, halo))
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            bottom, right = min(top + tile, height), min(left + tile, width)
            yield Tile(
                core=(slice(top, bottom), slice(left, right)),
                seen=(
                    slice(max(top - halo, 0), min(bottom + halo, height)),
                    slice(max(left - halo, 0), min(right + halo, width)),
                ),
            )


def within(core: slice, seen: slice, scale: int = 1) -> slice:
    """Return where ``core`` lies in what was made of ``seen`` at ``scale`` times its size."""
    return slice((core.start - seen.start) * scale, (core.stop - seen.start) * scale)
