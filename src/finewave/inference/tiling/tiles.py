"""A large image in overlapping tiles, so that the network's memory stays bounded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

Window = tuple[slice, slice]
"""Rows and columns."""


class Tile(NamedTuple):
    """What one tile keeps (``core``) and what the network sees for it (``seen``): (rows, columns) slices."""

    core: Window
    seen: Window


@dataclass(frozen=True)
class Tiling:
    """Tiles whose cores cover an image once, row by row.

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
    border : int
        A core nearer to the image's border sees as far inwards as one at this distance from it: there a window that
        is moved into the image reaches farther in.
    """

    height: int
    width: int
    tile: int
    halo: int
    multiple: int = 1
    border: int = 0

    @property
    def side(self) -> int:
        """Side of a core that no border cuts."""
        return -(-self.tile // self.multiple) * self.multiple

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return -(-self.height // self.side), -(-self.width // self.side)

    def __len__(self) -> int:
        rows, columns = self.grid
        return rows * columns

    def __getitem__(self, number: int) -> Tile:
        if not 0 <= number < len(self):
            raise IndexError(number)
        row, column = divmod(number, self.grid[1])
        rows, columns = self._cut(row, self.height), self._cut(column, self.width)
        return Tile((rows[0], columns[0]), (rows[1], columns[1]))

    def __iter__(self) -> Iterator[Tile]:
        return (self[number] for number in range(len(self)))

    @property
    def overhead(self) -> float:
        """How many pixels the network sees for each one of the image, less 1."""
        per_axis = []
        for axis, length in enumerate((self.height, self.width)):
            cuts = [self._cut(i, length)[1] for i in range(self.grid[axis])]
            per_axis.append(sum(seen.stop - seen.start for seen in cuts) / length)
        return math.prod(per_axis) - 1

    def _cut(self, number: int, length: int) -> tuple[slice, slice]:
        """Return core and seen of the tile of this number along an axis."""
        halo = -(-self.halo // self.multiple) * self.multiple
        border = -(-self.border // self.multiple) * self.multiple
        start, stop = number * self.side, min((number + 1) * self.side, length)
        return slice(start, stop), slice(
            max(min(start, length - border) - halo, 0), min(max(stop, border) + halo, length)
        )


def within(core: slice, seen: slice, scale: int = 1) -> slice:
    """Return where ``core`` lies in what was made of ``seen`` at ``scale`` times its size."""
    return slice((core.start - seen.start) * scale, (core.stop - seen.start) * scale)


def enlarged(window: Window, scale: int) -> Window:
    """Return a window in an image of ``scale`` times the size."""
    rows, columns = (slice(each.start * scale, each.stop * scale) for each in window)
    return rows, columns


def widened(window: Window, margin: int, height: int, width: int) -> Window:
    """Return a window with a margin around it, as far as the image reaches."""
    rows, columns = (
        slice(max(each.start - margin, 0), min(each.stop + margin, length))
        for each, length in zip(window, (height, width), strict=True)
    )
    return rows, columns
