"""A large image in overlapping tiles, so that the network's memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from finewave.systems.tile_stages import Margins

Window = tuple[slice, slice]
"""Rows and columns."""


class Tile(NamedTuple):
    """A tile's output area (``core``) and the network's input for it (``seen``): (rows, columns) slices."""

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
        Input around the core, limited by the image; rounded up likewise.
    multiple : int
        All tile borders are multiples of it.
    border : int
        A core nearer to the image's border sees as far inwards as one at this distance from it: there a window that
        is shifted into the image extends further inwards.
    later : tuple of int
        Halos of the stages after the first one, of networks that run in stages (`finewave.systems.tile_stages`); each
        rounded up likewise, none larger than the one before.
    shares : tuple of float
        Part of the arithmetic of each stage, the first one included.
    """

    height: int
    width: int
    tile: int
    halo: int
    multiple: int = 1
    border: int = 0
    later: tuple[int, ...] = ()
    shares: tuple[float, ...] = (1.0,)

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
        """How much more arithmetic the network does than for the image in one piece, as a part of that."""
        windows = [self.windows(tile) for tile in self]
        pixels = [sum(_area(each[stage]) for each in windows) for stage in range(len(self.shares))]
        work = sum(share * number for share, number in zip(self.shares, pixels, strict=True))
        return work / (self.height * self.width) - 1

    def windows(self, tile: Tile) -> tuple[Window, ...]:
        """Return the input of each stage of the network for a tile."""
        later = (
            widened(tile.core, -(-halo // self.multiple) * self.multiple, self.height, self.width)
            for halo in self.later
        )
        return tile.seen, *later

    def margins(self, tile: Tile) -> tuple[Margins, ...]:
        """Return the part of a tile's input that each stage does not need; empty for a single stage."""
        if not self.later:
            return ()
        (rows, columns), *_ = windows = self.windows(tile)
        return tuple(
            Margins(r.start - rows.start, rows.stop - r.stop, c.start - columns.start, columns.stop - c.stop)
            for r, c in windows
        )

    def _cut(self, number: int, length: int) -> tuple[slice, slice]:
        """Return core and seen of the tile of this number along an axis."""
        halo = -(-self.halo // self.multiple) * self.multiple
        border = -(-self.border // self.multiple) * self.multiple
        start, stop = number * self.side, min((number + 1) * self.side, length)
        return slice(start, stop), slice(
            max(min(start, length - border) - halo, 0), min(max(stop, border) + halo, length)
        )


def _area(window: Window) -> int:
    rows, columns = window
    return (rows.stop - rows.start) * (columns.stop - columns.start)


def within(core: slice, seen: slice, scale: int = 1) -> slice:
    """Return the position of ``core`` in the output of ``seen`` at ``scale`` times its size."""
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
