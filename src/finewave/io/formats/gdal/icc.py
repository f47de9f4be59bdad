"""Colour profiles of photographs (ICC): Adobe RGB, Display P3, ... to sRGB, by Little CMS."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finewave.warnings import FinewaveWarning

Recolour = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""From bytes (bands, y, x) as a file has them to sRGB-encoded ones."""

_MODES = {"RGB": ("RGB", 3), "GRAY": ("L", 1), "CMYK": ("CMYK", 4)}


def to_srgb(profile: bytes | None, bands: int, path: object) -> Recolour | None:
    """Return a function that converts the bytes of a picture to sRGB by its colour profile.

    Parameters
    ----------
    profile : bytes or None
        As it is embedded in the picture.
    bands : int
        Of the picture, transparency apart: 3, 1, or 4 for CMYK.
    path : path
        For messages.

    Returns
    -------
    callable or None
        None if no conversion is needed: no profile, or sRGB.

    Warns
    -----
    FinewaveWarning
        The profile cannot be used; the picture is assumed to be sRGB.
    """
    if not profile:
        return None
    try:
        from PIL import ImageCms
    except ImportError:
        _unused(path, "Pillow lacks Little CMS, which applies it; install a Pillow with ImageCms")
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = ImageCms.getProfileDescription(source).strip()
        space = source.profile.xcolor_space.strip()
    except Exception as error:  # damaged profiles raise various errors
        _unused(path, f"it is damaged ({str(error).splitlines()[0] if str(error) else type(error).__name__})")
        return None
    if name.lower().replace("-", "").startswith(("srgb", "iec 6196621 srgb")):
        return None
    mode, expected = _MODES.get(space, ("", 0))
    if bands != expected:
        _unused(path, f"{name or 'it'} is for {space}, the picture has {bands} bands")
        return None
    try:
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except ImageCms.PyCMSError as error:
        _unused(path, str(error).splitlines()[0])
        return None
    return _Recolour(transform, mode)


class _Recolour:
    def __init__(self, transform: Any, mode: str) -> None:
        self._transform, self._mode = transform, mode

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        from PIL import Image

        interleaved = np.ascontiguousarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1))
        turned = self._transform.apply(Image.fromarray(interleaved, self._mode))
        colours = np.moveaxis(np.asarray(turned), -1, 0)
        return colours[:1] if self._mode == "L" else colours


def warn_of_unapplied(profile: bytes | None, path: object, why: str) -> None:
    """Say that a picture's profile is not applied, unless it is that of sRGB."""
    if profile and to_srgb(profile, 3, path) is not None:
        _unused(path, why)


def _unused(path: object, why: str) -> None:
    warnings.warn(
        f"{path}: its colour profile was not applied: {why}; the picture is taken as sRGB, convert it to be sure",
        FinewaveWarning,
        stacklevel=6,
    )
