"""A picture of a scene with the places to measure at, numbered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from finewave.io.atomic import atomic_output

if TYPE_CHECKING:
    import xarray as xr

    from finewave.inference.spots.where_to_measure import MeasuringPlace

_SIDE = 1024  # pixels, of the longer side
_COLOUR = (255, 220, 0)


def draw_places(scene: xr.DataArray, places: Sequence[MeasuringPlace], upscaling: int, path: Path) -> None:
    """Write a picture (PNG or JPEG) of a scene in which places are circled and numbered.

    Parameters
    ----------
    scene : xarray.DataArray with dims (band, y, x)
    places : sequence of MeasuringPlace
    upscaling : int
        Pixels of the result on one of the scene.
    path : Path
    """
    from PIL import Image, ImageDraw, ImageFont

    from finewave.physics.rendering.colour import to_rgb

    stride = max(1, -(-max(scene.sizes["y"], scene.sizes["x"]) // _SIDE))
    part = scene[:, ::stride, ::stride].load()
    bright = float(np.nanpercentile(part.values, 99.5)) or 1.0
    rgb = np.nan_to_num(to_rgb(part / bright).values).transpose(1, 2, 0)
    picture = Image.fromarray(np.rint(255 * rgb.clip(0, 1)).astype(np.uint8))
    enlarge = max(1, _SIDE // max(picture.size))
    picture = picture.resize((picture.width * enlarge, picture.height * enlarge), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(20)
    for place in places:
        column, row = (position / upscaling / stride * enlarge for position in (place.column, place.row))
        draw.ellipse((column - 9, row - 9, column + 9, row + 9), outline=_COLOUR, width=2)
        draw.text(
            (column + 12, row - 12), str(place.number), fill=_COLOUR, font=font, stroke_width=2, stroke_fill="black"
        )
    with atomic_output(path) as temporary:
        picture.save(temporary)
