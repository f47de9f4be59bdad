"""Windows of an image in a frame, at screen resolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from finewave.viz.scene_pair import SceneLayer


@dataclass(frozen=True)
class Frame:
    """A visible rectangle on the result's grid, and its size in screen pixels."""

    x0: float
    x1: float
    y0: float
    y1: float
    width: int
    height: int


@dataclass(frozen=True)
class Window:
    """A part of a level of an image.

    Attributes
    ----------
    level : int
    rows, columns : slice
        In pixels of the level.
    x0, x1, y0, y1 : float
        Its edges on the result's grid.
    """

    level: int
    rows: slice
    columns: slice
    x0: float
    x1: float
    y0: float
    y1: float


def window_of(layer: SceneLayer, frame: Frame, finest: int = 0) -> Window | None:
    """Return the part of an image in a frame, at the level for its resolution; None if there is none.

    Parameters
    ----------
    layer : SceneLayer
    frame : Frame
    finest : int
        A coarser level than the screen needs, to read less.
    """
    pixels = layer.pixels(frame.x0, frame.x1, frame.y0, frame.y1)
    if pixels is None or frame.width < 1:
        return None
    place, pyramid = layer.place, layer.pyramid
    level = max(finest, pyramid.level_for((frame.x1 - frame.x0) / place.width / frame.width))
    step = 1 << level
    height, width = pyramid.size(level)
    rows = slice(pixels[0].start // step, min(height, -(-pixels[0].stop // step)))
    columns = slice(pixels[1].start // step, min(width, -(-pixels[1].stop // step)))
    return Window(
        level,
        rows,
        columns,
        place.left + columns.start * step * place.width,
        place.left + columns.stop * step * place.width,
        place.top + rows.start * step * place.height,
        place.top + rows.stop * step * place.height,
    )


def read_window(layer: SceneLayer, window: Window, bands: list[int]) -> NDArray[np.float32]:
    """Return the pixels (bands, y, x) of a window."""
    return layer.pyramid.read(window.level, bands, window.rows, window.columns)


def fitted(picture: NDArray[Any], window: Window, frame: Frame) -> NDArray[Any]:
    """Return a picture (y, x, 4) with no more pixels than the screen has for it."""
    from PIL import Image

    height, width = picture.shape[:2]
    wide = max(1, min(width, round((window.x1 - window.x0) / (frame.x1 - frame.x0) * frame.width)))
    tall = max(1, min(height, round((window.y1 - window.y0) / (frame.y1 - frame.y0) * frame.height)))
    if (tall, wide) == (height, width):
        return picture
    # every screen pixel shows the mean of the pixels under it
    return np.asarray(Image.fromarray(picture).resize((wide, tall), Image.Resampling.BOX))
