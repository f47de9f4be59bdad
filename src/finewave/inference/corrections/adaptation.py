"""What two images have that a model is not for, looked at in pieces of the whole scene before it is cut into tiles."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finewave.inference.request import PredictionRequest
from finewave.inference.tiling.sources import OpenScene
from finewave.inference.tiling.tiles import Window, enlarged
from finewave.zoo.invalid_pixels import fill_pixels
from finewave.zoo.model import PIXELS_TELL_NOISE

_Piece = dict[str, NDArray[Any]]

_SIDE = 86
"""Side in pixels of the first input of each of nine pieces; a scene of up to three sides is looked at as a whole."""


def adapted(request: PredictionRequest) -> PredictionRequest:
    """Return the request with the model for what its images have, see `Model.adapted_to`, if it looks at them.

    All tiles are treated alike, and so is every window of a scene: the pieces are those of the whole scene.
    """
    import torch

    model = request.model.in_pytorch("images that have another blur, or noise")
    first, later = model.inputs
    scenes = request.whole
    sizes = {name: (scene.sizes["y"], scene.sizes["x"]) for name, scene in scenes.items()}
    ratio = request.ratio(later)
    if ratio != model.scale or sizes[later] != tuple(ratio * side for side in sizes[first]):
        return request
    sources = {
        name: OpenScene(scene, request.bands[name].indices, request.bands[name].fills) for name, scene in scenes.items()
    }
    pieces: list[_Piece] = []
    for place in itertools.product(*(_places(length) for length in sizes[first])):
        window: Window = (place[0], place[1])
        pieces.append({name: source.read(enlarged(window, request.ratio(name))) for name, source in sources.items()})
    chosen = _valid_parts(pieces, sources, request.ratio(later)) or pieces
    # where all have missing pixels, as the network gets them: zeros would be edges that explain no blur
    images = {name: torch.from_numpy(np.stack([fill_pixels(piece[name])[0] for piece in chosen])) for name in scenes}
    return replace(request, model=model.adapted_to(images))


def _valid_parts(pieces: list[_Piece], names: Iterable[str], ratio: int) -> list[_Piece]:
    """Return a part of each piece that has one of the size of the largest without missing pixels in both images.

    The pieces themselves where some have no missing pixel; nothing where too few pixels are together.
    """
    first, later = names
    valid: list[NDArray[np.bool_]] = []
    for piece in pieces:
        coarse, fine = (np.isfinite(piece[name]).all(axis=0) for name in (first, later))
        height, width = coarse.shape
        valid.append(np.logical_and(coarse, fine.reshape(height, ratio, width, ratio).all(axis=(1, 3))))
    height, width = max((_largest_rectangle(each) for each in valid), key=lambda sides: sides[0] * sides[1])
    parts: list[_Piece] = []
    for piece, each in zip(pieces, valid, strict=True):
        inside = np.lib.stride_tricks.sliding_window_view(_sums(each), (height + 1, width + 1))
        counts = inside[:, :, -1, -1] - inside[:, :, 0, -1] - inside[:, :, -1, 0] + inside[:, :, 0, 0]
        full = np.argwhere(counts == height * width)
        if len(full):
            top, left = full[len(full) // 2].tolist()
            window = (slice(top, top + height), slice(left, left + width))
            within = {first: window, later: enlarged(window, ratio)}
            parts.append({name: piece[name][:, rows, columns] for name, (rows, columns) in within.items()})
    complete = (height, width) == valid[0].shape
    return parts if complete or len(parts) * height * width >= PIXELS_TELL_NOISE else []


def _sums(valid: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many are True above and at the left of each corner of the pixels."""
    return np.pad(valid.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))


def _largest_rectangle(valid: NDArray[np.bool_]) -> tuple[int, int]:
    """Return height and width of the largest rectangle in which all pixels are True; zeros if none is.

    By rows: how far up a pixel's column is True, and between which columns all are as high.
    """
    width = valid.shape[1]
    columns = np.arange(width)
    up, left, right = np.zeros(width, int), np.zeros(width, int), np.full(width, width)
    best = (0, 0)
    for row in valid:
        up = np.where(row, up + 1, 0)
        begin = np.maximum.accumulate(np.where(row, 0, columns + 1))
        end = np.minimum.accumulate(np.where(row, width, columns)[::-1])[::-1]
        left, right = np.where(row, np.maximum(left, begin), 0), np.where(row, np.minimum(right, end), width)
        widths = np.where(row, right - left, 0)
        largest = int((up * widths).argmax())
        if up[largest] * widths[largest] > best[0] * best[1]:
            best = int(up[largest]), int(widths[largest])
    return best


def _places(length: int) -> list[slice]:
    """Return the middle of each third of an axis; the whole of a short one."""
    if length <= 3 * _SIDE:
        return [slice(0, length)]
    return [slice(start, start + _SIDE) for start in (length * third // 6 - _SIDE // 2 for third in (1, 3, 5))]
