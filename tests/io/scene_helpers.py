"""A small scene with every kind of metadata, and how two scenes are compared."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from finewave.scene import make_scene, scene_crs, scene_transform

TRANSFORM = (10.0, 0.0, 500_000.0, 0.0, -10.0, 4_000_000.0)
WAVELENGTHS = [450.0, 550.25, 650.0, 1650.5]


def full_scene(**changes: Any) -> xr.DataArray:
    """Four bands, 7 x 5 pixels, one of them missing; values that float32 holds exactly."""
    values = (np.arange(4 * 7 * 5).reshape(4, 7, 5) / 256).astype(np.float32)
    values[:, 2, 3] = np.nan
    keywords: dict[str, Any] = {
        "wavelengths": WAVELENGTHS,
        "fwhm": [10.0, 12.5, 20.0, 90.0],
        "good_bands": [True, True, False, True],
        "band_names": ["blue", "green", "red edge", "swir 1"],
        "crs": "EPSG:32631",
        "transform": TRANSFORM,
        "attrs": {
            "sensor": "tester",
            "card": {"name": "net", "scale": 4, "list": [1, 2.5, None], "text": "a = b, {c}"},
            "count": 12,
            "number_as_text": "12",
        },
    }
    keywords.update(changes)
    return make_scene(values, **keywords)


def assert_same_scene(result: xr.DataArray, expected: xr.DataArray, *, tolerance: float = 0.0) -> None:
    """Compare values and every metadata field."""
    assert result.dims == ("band", "y", "x")
    np.testing.assert_allclose(result.values, expected.values, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(np.isnan(result.values), np.isnan(expected.values))
    for name in ("wavelength", "fwhm", "good_band", "band_name"):
        assert (name in result.coords) == (name in expected.coords), name
        if name in expected.coords:
            np.testing.assert_array_equal(result.coords[name].values, expected.coords[name].values)
    assert scene_crs(result) == scene_crs(expected)
    assert scene_transform(result) == scene_transform(expected)
    for name in ("x", "y"):
        assert (name in result.coords) == (name in expected.coords), name
        if name in expected.coords:
            np.testing.assert_array_equal(result.coords[name].values, expected.coords[name].values)
    assert {key: result.attrs.get(key) for key in expected.attrs} == expected.attrs


@contextmanager
def full_disk(limit: int = 300) -> Iterator[None]:
    """Let the system refuse every write beyond so many bytes of a file, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def names_in(folder: Path) -> set[str]:
    """Everything in a folder, hidden names too."""
    return {each.name for each in folder.iterdir()}


def cut(path: Path, keep: float = 0.5) -> Path:
    """Truncate a file to a part of its length."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    return path
