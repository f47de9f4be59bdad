"""From the numbers in a file to physical values: scale, offset, nodata, and scales that must be assumed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.physics.srgb import srgb_to_linear
from finewave.warnings import FinewaveWarning


@dataclass(frozen=True)
class Decoding:
    """How stored numbers become values: ``stored * scale_factor + offset``, nodata becomes NaN.

    Parameters
    ----------
    stored_dtype : numpy.dtype
        Type of the numbers in the file.
    scale_factor, offset : float or tuple of float
        One number, or one a band.
    nodata : float or None
        The stored number that marks missing pixels.
    linearise : bool
        Undo the sRGB curve afterwards (photographs).
    """

    stored_dtype: np.dtype[Any]
    scale_factor: float | tuple[float, ...] = 1.0
    offset: float | tuple[float, ...] = 0.0
    nodata: float | None = None
    linearise: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values: float32 where it holds every stored number exactly, else float64."""
        exact = np.can_cast(self.stored_dtype, np.float32, "safe")
        return np.dtype(np.float32 if exact else np.float64)

    def apply(self, stored: NDArray[Any], first_band: int = 0) -> NDArray[Any]:
        """Decode a block of whole bands.

        Parameters
        ----------
        stored : numpy.ndarray
            Numbers of the file, shape ``(bands, y, x)``.
        first_band : int
            Index of the block's first band in the scene, for scales that differ between bands.

        Returns
        -------
        numpy.ndarray
            Physical values, same shape, type `dtype`.
        """
        bands = slice(first_band, first_band + len(stored))
        scale, offset = (
            np.asarray(each[bands])[:, None, None] if isinstance(each, tuple) else each
            for each in (self.scale_factor, self.offset)
        )
        plain = isinstance(scale, float) and scale == 1.0 and isinstance(offset, float) and offset == 0.0
        if plain:
            values = stored.astype(self.dtype, copy=True)
        else:
            # In float64, so that 10000 * 0.0001 is exactly 1.
            values = (stored * np.asarray(scale, np.float64) + offset).astype(self.dtype)
        if self.nodata is not None and not np.isnan(self.nodata):
            with np.errstate(over="ignore"):
                values[stored == np.asarray(self.nodata).astype(stored.dtype)] = np.nan
        return srgb_to_linear(values) if self.linearise else values

    @property
    def encoding(self) -> dict[str, Any]:
        """What the scene remembers, in the keys of xarray, so that writing can restore it."""
        if self.linearise or isinstance(self.scale_factor, tuple) or isinstance(self.offset, tuple):
            return {}
        encoding: dict[str, Any] = {"dtype": self.stored_dtype.name}
        if self.scale_factor != 1.0 or self.offset != 0.0:
            encoding["scale_factor"] = self.scale_factor
            encoding["add_offset"] = self.offset
        if self.nodata is not None:
            encoding["_FillValue"] = self.nodata
        return encoding


def choose_decoding(
    stored_dtype: np.dtype[Any],
    *,
    path: object,
    scale: float | None,
    scale_factor: float | tuple[float, ...] | None = None,
    offset: float | tuple[float, ...] | None = None,
    nodata: float | None = None,
    largest: Callable[[], float],
) -> Decoding:
    """Decide how the stored numbers become values.

    What the user states comes first, then what the file states. Integers without either get an assumed scale
    and a warning: 255 for 8 bits; 10000, the custom of reflectance products, for wider integers when no
    sampled pixel passes 20000; otherwise 65535. Floats are taken as they are.

    Parameters
    ----------
    stored_dtype : numpy.dtype
        Type of the numbers in the file.
    path : path
        For messages.
    scale : float or None
        Stated by the user: the stored number that stands for 1.0.
    scale_factor, offset : float, tuple of float or None
        Stated by the file; None where it says nothing.
    nodata : float or None
        The stored number that marks missing pixels.
    largest : callable
        Returns the largest stored number of a sample of pixels; called only when it matters.

    Returns
    -------
    Decoding

    Raises
    ------
    InputError
        Complex numbers, a scale that is not positive, or integers that no assumption fits.
    """
    stored_dtype = np.dtype(stored_dtype)
    if stored_dtype.kind not in "fiub":
        raise InputError(f"{path} holds {stored_dtype} values; finewave reads real numbers (integers or floats)")
    if nodata is not None and stored_dtype.kind in "iu":
        limits = np.iinfo(stored_dtype)
        if np.isnan(nodata) or not limits.min <= nodata <= limits.max:
            nodata = None
    if scale is not None:
        if not (np.isfinite(scale) and scale > 0):
            raise InputError(f"scale= is the stored number that stands for 1.0 and must be positive; got {scale}")
        return Decoding(stored_dtype, 1.0 / scale, 0.0, nodata)
    if scale_factor is not None or offset is not None:
        return Decoding(
            stored_dtype,
            1.0 if scale_factor is None else scale_factor,
            0.0 if offset is None else offset,
            nodata,
        )
    if stored_dtype.kind in "fb":
        return Decoding(stored_dtype, nodata=nodata)
    assumed = _assumed_scale(stored_dtype, largest, path)
    warnings.warn(
        f"{path} holds {stored_dtype} values without a scale; assumed that {assumed:g} stands for 1.0 "
        f"(state another: scale= of open_scene, --full-scale of commands; 1 keeps the numbers)",
        FinewaveWarning,
        stacklevel=2,
    )
    return Decoding(stored_dtype, 1.0 / assumed, 0.0, nodata)


def _assumed_scale(stored_dtype: np.dtype[Any], largest: Callable[[], float], path: object) -> float:
    if stored_dtype.itemsize == 1:
        return 255.0
    if stored_dtype == np.int16:
        return 10000.0
    top = largest()
    if top <= 20000:
        return 10000.0
    if top <= 65535:
        return 65535.0
    raise InputError(
        f"{path} holds {stored_dtype} values up to {top:g} and does not say their scale; "
        "state it, the stored value that stands for 1.0: scale= of open_scene, --full-scale of commands"
    )
