"""Rows and columns that the pixels of a scene had when its georeference was stated, so that a crop shows."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    import xarray as xr
    from affine import Affine

_AXES = {"row": "y", "column": "x"}
"""Coordinates along the axes: centres of pixels, 0.5 for the first one."""
_TRANSFORM = "transform"
"""Their attribute with the transform, in GDAL's order, that was stated for the pixels they count."""


def with_pixel_positions(scene: xr.DataArray, transform: Affine | None = None) -> xr.DataArray:
    """Return the scene with the coordinates ``row`` and ``column``, which count its pixels as they are now.

    A rotated transform, control points and RPCs are stated for an image of which ``isel`` makes a part: xarray carries
    coordinates along, and they tell which part that is. ``transform`` is the rotated one.
    """
    encoding = dict(scene.encoding)
    attrs = {} if transform is None else {_TRANSFORM: list(transform.to_gdal())}
    scene = scene.assign_coords(
        {name: (axis, np.arange(scene.sizes[axis]) + 0.5, attrs) for name, axis in _AXES.items()}
    )
    scene.encoding = encoding
    return scene


def counted_for(scene: xr.DataArray, transform: Affine) -> bool:
    """Return whether positions count the pixels for which a transform was stated.

    They do not where another one was stated since, as rioxarray does for a part: that one is of the part itself.
    """
    before = scene.coords["row"].attrs.get(_TRANSFORM) if has_pixel_positions(scene) else None
    return before is None or bool(np.allclose(before, transform.to_gdal(), rtol=1e-12, atol=0))


def has_pixel_positions(scene: xr.DataArray) -> bool:
    """Return whether a scene has these coordinates."""
    return all(name in scene.coords and scene.coords[name].dims == (axis,) for name, axis in _AXES.items())


def part_of_image(scene: xr.DataArray) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Return which pixels of an image a scene consists of, for rows and for columns.

    Returns
    -------
    tuple of (float, float)
        Centre of the first pixel and step, both in pixels of the image; (0.5, 1) where nothing was cut off.
        None if they are not evenly spaced, with a warning.
    """
    if not has_pixel_positions(scene):
        return (0.5, 1.0), (0.5, 1.0)
    spans = []
    for name, axis in _AXES.items():
        positions = scene.coords[name].values
        if not positions.size:
            spans.append((0.5, 1.0))
        elif is_even(positions):
            spans.append((float(positions[0]), step_of(positions) or 1.0))
        else:
            warn_uneven([axis])
            return None
    return spans[0], spans[1]


def step_of(positions: np.ndarray[Any, Any]) -> float | None:
    """Return the distance of evenly spaced positions; None of a single one."""
    return float(positions[-1] - positions[0]) / (len(positions) - 1) if len(positions) > 1 else None


def is_even(values: np.ndarray[Any, Any]) -> bool:
    """Return whether coordinates are evenly spaced, within their precision and a hundredth of a pixel."""
    if values.ndim != 1 or values.size < 3:
        return values.ndim == 1
    steps = np.diff(values.astype(np.float64))
    mean = (float(values[-1]) - float(values[0])) / (values.size - 1)
    rounding = 4 * np.finfo(values.dtype).eps * np.abs(values).max() if values.dtype.kind == "f" else 0.0
    positions = values[0] + mean * np.arange(values.size)
    return bool(
        mean != 0
        and np.all(np.isfinite(steps))
        and np.abs(values - positions).max() <= max(0.01 * abs(mean), 2 * rounding)
    )


def warn_uneven(axes: list[str]) -> None:
    """Warn of a selection of pixels that no transform describes."""
    warnings.warn(
        f"the scene's pixels are not evenly spaced along {' and '.join(axes)}, so that it has no place on the ground; "
        "take a range of rows and columns, with one step, to keep it",
        FinewaveWarning,
        stacklevel=4,
    )
