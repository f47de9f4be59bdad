"""Missing pixels: they are filled before the network, and its output there is removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

_MOST_AT_ONCE = 2**19
"""Pixels for which the nearest valid one is looked for at once."""


def fill_pixels(image: NDArray[Any], *, band_by_band: bool = False) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Give each pixel with a NaN or infinite band the values of the nearest pixel without.

    Parameters
    ----------
    image : ndarray of shape (c, h, w)
    band_by_band : bool
        Treat each band separately, for networks that do so.

    Returns
    -------
    filled : ndarray of shape (c, h, w)
        ``image`` itself where all is finite; zero where an image has no valid pixel at all.
    invalid : bool ndarray of shape (1, h, w), or (c, h, w) band by band
        True where any band was not finite.
    """
    finite = np.isfinite(image)
    invalid = ~(finite if band_by_band else finite.all(axis=0, keepdims=True))
    if not invalid.any():
        return image, invalid
    filled = image.copy()
    last, places = invalid[:0], None
    for bands, holes in zip(filled[:, None] if band_by_band else filled[None], invalid, strict=True):
        if holes.all():
            bands[:] = 0
        elif holes.any():
            # the nearest pixel, not a mean, so that attention and pooling see only values of the image
            if last is None or not np.array_equal(holes, last):  # most bands have the holes of the one before
                last, places = holes, nearest_valid(holes)
            bands[:, holes] = bands[:, places[0], places[1]]
    return filled, invalid


def nearest_valid(holes: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the place of the nearest valid pixel of each hole.

    Exact Euclidean distances, as `scipy.ndimage.distance_transform_edt` has them, without SciPy: exported models run
    where it is not installed. Of equally near pixels the one in the leftmost column is taken, above before below.

    Parameters
    ----------
    holes : bool ndarray (h, w)
        At least one pixel is False.

    Returns
    -------
    rows, columns : int ndarray (n,)
        Of the n holes in the order of ``holes``.
    """
    height, width = holes.shape
    far = 2 * (height + width)
    numbers = np.arange(height, dtype=np.int32)[:, None]
    above = np.maximum.accumulate(np.where(holes, -far, numbers), axis=0)
    below = np.minimum.accumulate(np.where(holes, numbers + far, numbers)[::-1], axis=0)[::-1]
    nearest = np.where(numbers - above <= below - numbers, above, below)  # valid row in the same column
    rows, columns = np.nonzero(holes)
    best = np.empty(len(rows), np.intp)
    with_holes = np.unique(rows)
    at_once = max(1, _MOST_AT_ONCE // width)
    for start in range(0, len(with_holes), at_once):
        part = with_holes[start : start + at_once]
        these = slice(np.searchsorted(rows, part[0]), np.searchsorted(rows, part[-1], side="right"))
        found = _nearest_columns((part[:, None] - nearest[part]) ** 2)
        best[these] = found[np.searchsorted(part, rows[these]), columns[these]]
    return nearest[rows, best].astype(np.intp), best


def _nearest_columns(vertical: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return for each pixel of rows (n, w) the column j of least ``(i - j)**2 + vertical[:, j]``, the leftmost one.

    That column never decreases from one i to the next, so those of every second pixel bound those between them: the
    work is that of w log w candidates for a row.
    """
    count, width = vertical.shape
    found = np.zeros((count, width + 1), np.intp)  # shifted by one; the first is the bound at the left
    step = 1 << max(0, width - 1).bit_length()
    while step:
        at = np.arange(step - 1, width, 2 * step)
        if len(at):
            low = found[:, at - step + 1]
            high = np.where(at + step < width, found[:, np.minimum(at + step, width - 1) + 1], width - 1)
            lengths = (high - low + 1).ravel()
            starts = np.cumsum(lengths) - lengths
            candidates = np.arange(lengths.sum()) - np.repeat(starts - low.ravel(), lengths)
            row = np.repeat(np.repeat(np.arange(count), len(at)), lengths)
            away = np.repeat(np.tile(at, count), lengths) - candidates
            # the column is part of the number whose least is looked for
            least = np.minimum.reduceat((away**2 + vertical[row, candidates]) * width + candidates, starts)
            found[:, at + 1] = (least % width).reshape(count, len(at))
        step //= 2
    return found[:, 1:]


def blank_pixels(output: NDArray[Any], invalid: NDArray[np.bool_]) -> NDArray[Any]:
    """Return ``output`` (C, H, W) with NaN on the pixels of ``invalid`` (1 or C, h, w) that are True."""
    if not invalid.any():
        return output
    vertical, horizontal = output.shape[1] // invalid.shape[1], output.shape[2] // invalid.shape[2]
    return np.where(invalid.repeat(vertical, axis=1).repeat(horizontal, axis=2), output.dtype.type(np.nan), output)


def fill_invalid(image: Tensor, *, band_by_band: bool = False) -> tuple[Tensor, Tensor]:
    """Return `fill_pixels` of images (B, c, h, w), as tensors with a batch axis on the same device."""
    import torch

    invalid = ~torch.isfinite(image)
    if not band_by_band:
        invalid = invalid.any(dim=1, keepdim=True)
    if not invalid.any():
        return image, invalid
    filled = [fill_pixels(each.cpu().numpy(), band_by_band=band_by_band)[0] for each in image]
    return torch.from_numpy(np.stack(filled)).to(image), invalid


def blank(output: Tensor, invalid: Tensor) -> Tensor:
    """Return ``output`` (B, C, H, W) with NaN on the pixels of ``invalid`` (B, 1 or C, h, w) that are True."""
    if not invalid.any():
        return output
    vertical, horizontal = output.shape[2] // invalid.shape[2], output.shape[3] // invalid.shape[3]
    enlarged = invalid.repeat_interleave(vertical, dim=2).repeat_interleave(horizontal, dim=3)
    return output.masked_fill(enlarged.to(output.device), float("nan"))
