"""Which pixels of a scene train and which validate: rectangles of valid pixels that keep apart."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from finewave.datasets.base import Region
from finewave.errors import InputError

SHARE = 0.2
"""Part of the largest valid rectangle of a scene that validates."""
GAP = 8
"""HR pixels between training and validation, at least; two LR pixels where those are more."""
LEAST = 16
"""Side in HR pixels that a validation block has at least: the windows of the metrics have to fit."""
FINE = 1024
"""Cells of a side of a mask within which rectangles are sought; larger scenes are looked at in cells of more pixels."""
MOST = 64
"""Training rectangles of one scene, at most: what is left between them is small."""

Mask = NDArray[np.bool_]


class Rectangle(NamedTuple):
    """Rows and columns from the first to before the second."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    def region(self, image: str) -> Region:
        """Return the rectangle as a region of an image."""
        return Region(image, (self.top, self.bottom), (self.left, self.right))


def largest_rectangle(mask: Mask, side: int = 1) -> Rectangle | None:
    """Return the rectangle of True with most pixels whose sides are at least ``side``; None if there is none.

    On masks wider or higher than `FINE`, the largest one of whole cells. Row by row, every column is a bar as high as
    the True pixels above it; the largest rectangle that ends in this row is the largest one under the bars, found with
    a stack in one pass.
    """
    unit = -(-max(mask.shape) // FINE)
    if unit > 1:
        rows, columns = (n // unit for n in mask.shape)
        cells: Mask = mask[: rows * unit, : columns * unit].reshape(rows, unit, columns, unit).min(axis=(1, 3))
        rectangle = largest_rectangle(cells, -(-side // unit))
        return None if rectangle is None else Rectangle(*(n * unit for n in rectangle))
    best: Rectangle | None = None
    area = 0
    height = np.zeros(mask.shape[1], dtype=np.int64)
    for row in range(mask.shape[0]):
        height = np.where(mask[row], height + 1, 0)
        if row + 1 < mask.shape[0] and not np.any(mask[row] & ~mask[row + 1]):
            continue  # what ends here goes on below
        stack: list[tuple[int, int]] = []  # first column and height of bars that go on
        for column, bar in enumerate([*height.tolist(), 0]):
            first = column
            while stack and stack[-1][1] >= bar:
                first, tall = stack.pop()
                wide = column - first
                if tall * wide > area and min(tall, wide) >= side:
                    area = tall * wide
                    best = Rectangle(row + 1 - tall, row + 1, first, column)
            stack.append((first, bar))
    return best


def cut_scene(name: str, valid: Mask, scale: int, crop: int) -> tuple[Rectangle, list[Rectangle]]:
    """Cut a scene into a validation block and training rectangles.

    The block is the end of the largest rectangle of valid pixels, across its longer side. Then the largest rectangles
    of the remaining valid pixels train, one after the other, each as large as possible; a rim of `GAP` HR pixels or two
    LR pixels around the block belongs to none.

    Parameters
    ----------
    name : str
        Of the scene, for messages.
    valid : (H, W) bool array
        Pixels that have a value in every band.
    scale : int
        s; sides of the block are multiples of it.
    crop : int
        Training rectangles have sides of so many pixels at least.

    Returns
    -------
    block : Rectangle
    training : list of Rectangle

    Raises
    ------
    InputError
        If the scene is too small; the message says what is needed.
    """
    least = scale * -(-LEAST // scale)
    gap = max(GAP, 2 * scale)
    whole = largest_rectangle(valid, least)
    if whole is not None:
        block = _end_of(whole, max(least, int(SHARE * max(whole.height, whole.width)) // scale * scale))
        free = valid.copy()
        free[max(0, block.top - gap) : block.bottom + gap, max(0, block.left - gap) : block.right + gap] = False
        training: list[Rectangle] = []
        while len(training) < MOST:
            rectangle = largest_rectangle(free, crop)
            if rectangle is None:
                break
            training.append(rectangle)
            free[rectangle.top : rectangle.bottom, rectangle.left : rectangle.right] = False
        if training:
            return block, training
    height, width = valid.shape
    missing = f" ({1 - valid.mean():.1%} of them without values)" if not valid.all() else ""
    raise InputError(
        f"scene {name!r} of {height} x {width} pixels{missing} is too small for a validation block at scale {scale}: "
        f"{crop} x {least + gap + crop} pixels with values are needed; give a larger scene or a smaller data.crop"
    )


def _end_of(whole: Rectangle, length: int) -> Rectangle:
    """Return the last part of a rectangle, across its longer side."""
    if whole.height >= whole.width:
        return whole._replace(top=whole.bottom - length)
    return whole._replace(left=whole.right - length)
