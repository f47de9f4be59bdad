"""Conversion of physical values to stored numbers, the inverse of `decoding`."""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.io.open_options import SaveOptions
from finewave.warnings import FinewaveWarning

_COUNTING = threading.Lock()


@dataclass
class Storage:
    """How values become stored numbers: ``(value - offset) / scale_factor``, NaN becomes nodata.

    Counts values that do not fit, for one warning at the end; thread-safe.

    Parameters
    ----------
    dtype : numpy.dtype
        Type of the stored numbers.
    scale_factor, offset : float
        ``value = stored * scale_factor + offset``.
    nodata : float or None
        The stored number for missing pixels.
    """

    dtype: np.dtype[Any]
    scale_factor: float = 1.0
    offset: float = 0.0
    nodata: float | None = None
    clipped: int = 0
    lost: int = 0

    @property
    def scaled(self) -> bool:
        """Whether stored numbers differ from values."""
        return self.scale_factor != 1.0 or self.offset != 0.0

    def encode(self, values: NDArray[Any]) -> NDArray[Any]:
        """Turn a block of values into stored numbers.

        Parameters
        ----------
        values : numpy.ndarray
            Physical values, any shape.

        Returns
        -------
        numpy.ndarray
            Same shape, type `dtype`. Integers are rounded to the nearest and clipped to the type's range; a value equal
            to nodata is moved to a neighbouring number.
        """
        if values.dtype == self.dtype and not self.scaled and self.dtype.kind != "f":
            return values
        missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
        stored = (values.astype(np.float64) - self.offset) / self.scale_factor if self.scaled else values
        if self.dtype.kind == "f":
            stored = stored.astype(self.dtype)
            if self.nodata is not None:
                stored[missing] = self.nodata
            return stored
        return self._to_integers(stored, missing)

    def _to_integers(self, stored: NDArray[Any], missing: NDArray[np.bool_]) -> NDArray[Any]:
        limits = np.iinfo(self.dtype)
        low, high = limits.min, limits.max
        if self.nodata == low:
            low += 1
        elif self.nodata == high:
            high -= 1
        rounded = np.rint(np.where(missing, 0, stored))
        if self.nodata is not None:
            on_nodata = (rounded == self.nodata) & ~missing
            rounded = np.where(on_nodata & (low < self.nodata < high), self.nodata + 1, rounded)
        clipped = int(np.count_nonzero(((rounded < low) | (rounded > high)) & ~missing))
        if self.nodata is not None:
            # At the ends of the range the clip below moves them.
            clipped -= int(np.count_nonzero(on_nodata & ((self.nodata < low) | (self.nodata > high))))
        numbers = np.clip(rounded, low, high).astype(self.dtype)
        lost = 0
        if self.nodata is None:
            lost = int(np.count_nonzero(missing))
        else:
            numbers[missing] = self.nodata
        with _COUNTING:
            self.clipped += clipped
            self.lost += lost
        return numbers

    def warn(self, path: object) -> None:
        """Warn once about values that did not fit."""
        if self.clipped:
            warnings.warn(
                f"{path}: {self.clipped} values lie outside what {self.dtype} can hold at this scale "
                "and were clipped (dtype='float32' keeps them)",
                FinewaveWarning,
                stacklevel=3,
            )
        if self.lost:
            warnings.warn(
                f"{path}: {self.lost} missing values were written as 0, because no nodata value is set "
                "(state one with nodata=, or dtype='float32')",
                FinewaveWarning,
                stacklevel=3,
            )


_FEW_BANDS = 4
"""So many are mostly shown together; of more one is read at a time."""


def choose_interleave(options: SaveOptions, bands: int) -> str:
    """Return the interleaving: ``"band"`` or ``"pixel"``.

    By default the bands of a pixel up to four bands, as in pictures, and the pixels of a band beyond: one band of many
    is then read without the others.

    Raises
    ------
    InputError
        It is called otherwise.
    """
    requested = (options.format_options or {}).get("interleave")
    if requested is None:
        return "pixel" if bands <= _FEW_BANDS else "band"
    if str(requested).lower() not in ("band", "pixel"):
        raise InputError(f"unknown interleave {requested!r}; 'band' and 'pixel' are accepted")
    return str(requested).lower()


def choose_storage(scene: xr.DataArray, options: SaveOptions) -> Storage:
    """Decide how a scene is stored.

    Options take precedence, then the scene's ``encoding`` (so that scaled integers are written as scaled integers
    again), then float32. Integers without a scale get 1/255 (8 bits; signed ones 1/127) or 1/10000. Without a nodata
    value, signed integers use their smallest number and unsigned ones of 16 bits and more their largest, unless that
    represents a reflectance up to 1; floats use NaN.

    Parameters
    ----------
    scene : xarray.DataArray
        A scene.
    options : SaveOptions
        What the user stated.

    Raises
    ------
    InputError
        An unknown type, a scale that is not positive, or a nodata value that the type cannot hold.
    """
    encoding = scene.encoding
    dtype = _storage_dtype(options.dtype, scene, encoding)
    scale_factor, offset = 1.0, 0.0
    if options.scale is not None:
        if not (np.isfinite(options.scale) and options.scale > 0):
            raise InputError(
                f"full_scale= is the stored number that represents 1.0 and must be positive; got {options.scale}"
            )
        scale_factor = 1.0 / options.scale
    elif dtype.kind != "f" or np.dtype(encoding.get("dtype", np.float32)) == dtype:
        scale_factor = float(encoding.get("scale_factor", 1.0))
        offset = float(encoding.get("add_offset", 0.0))
        stated = "scale_factor" in encoding or "add_offset" in encoding
        unchanged = "dtype" in encoding and np.dtype(encoding["dtype"]) == dtype
        if dtype.kind != "f" and not stated and not unchanged and scene.dtype.kind == "f":
            scale_factor = 1 / np.iinfo(dtype).max if dtype.itemsize == 1 else 1 / 10000
    nodata = options.nodata if options.nodata is not None else encoding.get("_FillValue")
    if dtype.kind == "f":
        return Storage(dtype, scale_factor, offset, None if nodata is None else float(nodata))
    limits = np.iinfo(dtype)
    if nodata is not None and (np.isnan(nodata) or not limits.min <= nodata <= limits.max):
        if options.nodata is not None:
            raise InputError(f"nodata={nodata} does not fit {dtype} ({limits.min} to {limits.max})")
        nodata = None
    if nodata is None and scene.dtype.kind == "f":
        if dtype.kind == "i":
            nodata = limits.min
        elif dtype.itemsize > 1 and limits.max * scale_factor + offset > 1.001:
            nodata = limits.max
    return Storage(dtype, scale_factor, offset, None if nodata is None else int(nodata))


def _storage_dtype(requested: Any, scene: xr.DataArray, encoding: dict[Any, Any]) -> np.dtype[Any]:
    try:
        if requested is not None:
            dtype = np.dtype(requested)
        elif scene.dtype.kind in "iu":
            dtype = scene.dtype
        else:
            dtype = np.dtype(encoding.get("dtype", np.float32))
    except TypeError as error:
        raise InputError(f"unknown dtype {requested!r}; for example 'float32', 'uint16' or 'int16'") from error
    if dtype.kind == "b":
        dtype = np.dtype(np.uint8)
    if dtype.kind not in "fiu":
        raise InputError(f"a scene cannot be stored as {dtype}; for example 'float32', 'uint16' or 'int16'")
    return np.dtype(np.float32) if dtype == np.float16 else dtype
