"""Photographs that need a package of the extra ``photos``: HEIC of telephones, and raw files (DNG) of cameras."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from finewave.extras import missing_package
from finewave.io.file_errors import reading


def allow_heif(path: Path) -> None:
    """Let Pillow open HEIF files; an `InputError` if the package for it is not installed."""
    _package("pillow_heif", path).register_heif_opener()


def read_raw(path: Path) -> NDArray[np.uint16]:
    """Develop a raw file to linear light: sRGB primaries, white balance of the camera, no curve, no brightening.

    Returns
    -------
    numpy.ndarray
        uint16, shape ``(3, y, x)``, upright; 65535 is the white level of the sensor.
    """
    rawpy = _package("rawpy", path)
    with reading(path, "raw photograph"), rawpy.imread(str(path)) as raw:
        pixels = raw.postprocess(
            gamma=(1, 1), no_auto_bright=True, output_bps=16, use_camera_wb=True, output_color=rawpy.ColorSpace.sRGB
        )
    return np.ascontiguousarray(np.moveaxis(pixels, -1, 0))


def _package(name: str, path: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise missing_package(f"{path}: a {path.suffix.lower()} photograph", name, "photos") from error
