"""Split of a scene into separate rectangles of valid pixels for training and validation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from finewave.datasets.base import Region
from finewave.errors import InputError

SHARE = 0.2
"""Part of the largest valid rectangle of a scene that validates."""
GAP = 8
"""Minimum gap between training and validation in HR pixels, or two LR pixels if that is more."""
LEAST = 16
"""Minimum side of a validation block in HR pixels, for the windows of the metrics."""
FINE = 1024
"""Maximum cells per side in the search for rectangles; larger scenes use cells of more pixels."""
MOST = 64
"""Maximum number of training rectangles of one scene; the remaining pixels are few."""

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

    On masks wider or higher than `FINE`, the largest one of whole cells. In each row, every column is a bar as high as
    the run of True pixels above it; the largest rectangle that ends in this row is the largest one under the bars,
    found with a stack in one pass.
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
            continue  # ended bars continue below
        stack: list[tuple[int, int]] = []  # first column and height of open bars
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

    The validation block is cut off the end of the longer side of the largest rectangle of valid pixels. The largest
    rectangles of the remaining valid pixels are used for training; a rim of `GAP` HR pixels or two LR pixels around the
    block is unused.

    Parameters
    ----------
    name : str
        Of the scene, for messages.
    valid : (H, W) bool array
        Pixels that have a value in every band.
    scale : int
        s; sides of the block are multiples of it.
    crop : int
        Minimum side of training rectangles in pixels.

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
    """Return the end of a rectangle along its longer side."""
    if whole.height >= whole.width:
        return whole._replace(top=whole.bottom - length)
    return whole._replace(left=whole.right - length)
