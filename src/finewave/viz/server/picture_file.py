"""The picture of a page as PNG: both sides of the swipe, at the image's own resolution."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finewave.viz.server.pictures import Painter, Picture
from finewave.viz.windows import Frame

if TYPE_CHECKING:
    from finewave.viz.server.state import State

LARGEST_SIDE = 4096
"""Most columns or rows of the file."""


def picture_png(painter: Painter, state: State, frame: Frame) -> bytes:
    """Return the part of the picture in a frame, without margins, as PNG.

    Parameters
    ----------
    painter : Painter
    state : State
        Images, colours, brightness and swipe.
    frame : Frame
        What the page shows, in pixels of the result.

    Returns
    -------
    bytes
        One pixel for each of the result, more where the page magnifies them, and at most `LARGEST_SIDE` a side.
        Pixels without an image are transparent.
    """
    from PIL import Image

    inside = _within(frame, painter.view.size)
    swipe = frame.x0 + state.swipe * (frame.x1 - frame.x0)
    xs = inside.x0 + (np.arange(inside.width) + 0.5) * (inside.x1 - inside.x0) / inside.width
    pixels = np.zeros((inside.height, inside.width), np.uint32)
    for role, columns in ((state.left, xs < swipe), (state.right, xs >= swipe)):
        if state.left == state.right or columns.any():
            painted = painter.paint(role, state, inside)
            if painted is not None:
                whole = _sampled(painted, inside)
                columns = columns if state.left != state.right else np.ones_like(columns)
                pixels[:, columns] = whole[:, columns]
    file = io.BytesIO()
    Image.fromarray(pixels.view(np.uint8).reshape(*pixels.shape, 4), "RGBA").save(file, "PNG", compress_level=4)
    return file.getvalue()


def _within(frame: Frame, size: tuple[int, int]) -> Frame:
    """Return the part of a frame on an image, with the pixels of the file."""
    x0, x1 = max(frame.x0, 0.0), min(frame.x1, float(size[1]))
    y0, y1 = max(frame.y0, 0.0), min(frame.y1, float(size[0]))
    if x0 >= x1 or y0 >= y1:  # moved out of sight
        x0, x1, y0, y1 = 0.0, float(size[1]), 0.0, float(size[0])
    magnified = max(1.0, frame.width / (frame.x1 - frame.x0))
    magnified = float(int(magnified)) if magnified < 64 else 64.0
    scale = min(magnified, LARGEST_SIDE / max(x1 - x0, y1 - y0))
    return Frame(x0, x1, y0, y1, max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))


def _sampled(picture: Picture, frame: Frame) -> NDArray[np.uint32]:
    """Return the pixels of a picture at the centres of those of a frame; 0, which is transparent, outside of it."""
    window = picture.window
    tall, wide = picture.pixels.shape
    xs = frame.x0 + (np.arange(frame.width) + 0.5) * (frame.x1 - frame.x0) / frame.width
    ys = frame.y0 + (np.arange(frame.height) + 0.5) * (frame.y1 - frame.y0) / frame.height
    columns = np.floor((xs - window.x0) / (window.x1 - window.x0) * wide).astype(int)
    rows = np.floor((ys - window.y0) / (window.y1 - window.y0) * tall).astype(int)
    inside = ((rows >= 0) & (rows < tall))[:, None] & ((columns >= 0) & (columns < wide))
    found = picture.pixels[np.clip(rows, 0, tall - 1)[:, None], np.clip(columns, 0, wide - 1)]
    return np.where(inside, found, np.uint32(0))
