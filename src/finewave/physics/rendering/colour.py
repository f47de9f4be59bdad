"""RGB images of scenes.

All pictures of scenes (viewer, report, figures, demo, PNG files and `finewave.to_rgb`) use
`finewave.physics.rendering.renderings` for the choice of bands and `finewave.physics.rendering.display` for the
brightness.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from finewave.physics.rendering.display import DisplayRange, display_range, encode_srgb
from finewave.physics.rendering.renderings import Light, rendering, rendering_at

if TYPE_CHECKING:
    import xarray as xr


def to_rgb(
    scene: xr.DataArray,
    colours: str | Sequence[float] = "default",
    *,
    light: Light = "D65",
    limits: str | tuple[float, float] = "auto",
) -> xr.DataArray:
    """Return an RGB image of a scene.

    Parameters
    ----------
    scene : xarray.DataArray (band, y, x)
        As `finewave.open_scene` and `finewave.super_resolve` return it.
    colours : str or three float
        ``"true"``: the CIE 1931 observer and sRGB, the default wherever the bands cover 400 to 700 nm (380 to 740 where
        the scene has more); ``"natural"``: means over 80 nm around 640, 550 and 460 nm, or the bands named red, green
        and blue; ``"infrared"``, ``"shortwave"``; the indices ``"ndvi"`` and ``"ndwi"``; ``"bands"`` for a scene with
        unknown bands; or three wavelengths in nm, or band numbers from 1 if the scene has no wavelengths.
    light : {"D65", "scene"}
        For true colour. ``"D65"``: values are reflectance, shown in daylight. ``"scene"``: values are radiance and
        include the illumination of the scene.
    limits : str or (float, float)
        Values shown as black and as full brightness: ``"auto"`` keeps true colours at 0 to 1, unless the scene is dark
        or has other units, see `display_range`; ``"unit"``, ``"joint"``, ``"each"``; or two values.

    Returns
    -------
    xarray.DataArray (3, y, x)
        float32, sRGB-encoded, in [0, 1]; colours outside the gamut are clipped, pixels without a value are NaN. The
        georeference is kept, the attribute ``rendering`` says what is shown, and `finewave.save_scene` writes it as a
        PNG or JPEG.

    Raises
    ------
    InputError
        If it is not a scene, or lacks the requested bands.

    References
    ----------
    CIE 015:2018 (observer, D65); IEC 61966-2-1:1999 (sRGB).
    """
    from finewave.scene import check_scene, make_scene, scene_crs, scene_transform

    scene = check_scene(scene)
    shown = rendering(scene, colours, light) if isinstance(colours, str) else rendering_at(scene, colours)
    used, rows = shown.bands, max(1, 2**24 // (scene.sizes["x"] * len(shown.bands)))
    strips = [
        shown.channels(np.asarray(scene.variable[used, top : top + rows].values))
        for top in range(0, scene.sizes["y"], rows)
    ]
    channels = np.concatenate(strips, axis=1)
    channels[np.isinf(channels)] = np.nan
    if isinstance(limits, str):
        shown_range = display_range(limits, shown, channels)
    else:
        shown_range = DisplayRange((limits[0],) * len(channels), (limits[1],) * len(channels))
    return make_scene(
        encode_srgb(shown, channels, shown_range),
        band_names=("R", "G", "B"),
        crs=scene_crs(scene),
        transform=scene_transform(scene),
        attrs={"sensor": "srgb", "transfer_function": "sRGB", "rendering": shown.label},
    )
