"""From the numbers in a file to physical values: scale, offset, missing pixels, and scales that must be assumed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.physics.rendering.srgb import srgb_to_linear
from finewave.warnings import FinewaveWarning

Number = float | tuple[float, ...]
"""One number for all bands, or one per band."""

_HUGE = 3.3e38
"""No quantity reaches it: numbers from here on are fill values, however many digits of them were written down."""
_FILL_FROM = 1e18
"""No quantity in any unit reaches it: floats from here on are fill values that the file does not state, such as 1e20.
Infinity is not among them: a warning counts those."""
USUAL_FILLS = (-9999.0, -10000.0, -32767.0, -32768.0)
"""Signed numbers that mark missing pixels also in files that do not say so."""
Range = tuple[float, float]


@dataclass(frozen=True)
class Decoding:
    """How stored numbers become values: ``stored * scale_factor + offset``, special numbers become NaN.

    Parameters
    ----------
    stored_dtype : numpy.dtype
        Type of the numbers in the file.
    scale_factor, offset : float or tuple of float
        One number, or one per band.
    nodata : float, tuple of (float or None), or None
        The stored number that marks missing pixels, or one per band.
    special : tuple of float
        Further stored numbers that mark missing values: saturated pixels, for instance.
    valid_range : (float, float) or tuple of (pair or None), optional
        Stored numbers outside it are missing values; one range, or one per band.
    linearise : bool
        Undo the sRGB curve afterwards (photographs).
    """

    stored_dtype: np.dtype[Any]
    scale_factor: Number = 1.0
    offset: Number = 0.0
    nodata: float | tuple[float | None, ...] | None = None
    special: tuple[float, ...] = ()
    valid_range: Range | tuple[Range | None, ...] | None = None
    linearise: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values: float32 where it holds every stored number exactly, otherwise float64."""
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
        missing = self.missing(stored, first_band)
        if missing is not None:
            values[missing] = np.nan
        return srgb_to_linear(values) if self.linearise else values

    def missing(self, stored: NDArray[Any], first_band: int = 0) -> NDArray[np.bool_] | None:
        """Return where a block of whole bands has no value; None if it cannot have such pixels."""
        masks: list[NDArray[np.bool_]] = []
        if isinstance(self.nodata, tuple):
            of_bands = self.nodata[first_band : first_band + len(stored)]
            nothing = np.zeros(stored.shape[1:], bool)
            masks.append(
                np.stack([nothing if n is None else is_number(b, n) for b, n in zip(stored, of_bands, strict=True)])
            )
        elif self.nodata is not None:
            masks.append(is_number(stored, self.nodata))
        masks += [is_number(stored, number) for number in self.special]
        if stored.dtype.kind == "f":
            size = np.abs(stored)
            masks.append((size >= _FILL_FROM) & (size < np.inf))
        ranges = self._ranges(first_band, len(stored))
        if any(each is not None for each in ranges):
            low, high = np.array([each or (-np.inf, np.inf) for each in ranges]).T[:, :, None, None]
            masks.append((stored < low) | (stored > high))
        return np.logical_or.reduce(masks) if masks else None

    def _ranges(self, first_band: int, bands: int) -> list[Range | None]:
        """Return the valid range of each band of a block, or one for all."""
        valid: Any = self.valid_range
        if valid is None or not isinstance(valid[0], float | int):
            return list(valid or ())[first_band : first_band + bands]
        return [valid]

    @property
    def encoding(self) -> dict[str, Any]:
        """Encoding in xarray's keys, stored in the scene so that writing can restore it."""
        if self.linearise or isinstance(self.scale_factor, tuple) or isinstance(self.offset, tuple):
            return {}
        encoding: dict[str, Any] = {"dtype": self.stored_dtype.name}
        if self.scale_factor != 1.0 or self.offset != 0.0:
            encoding["scale_factor"] = self.scale_factor
            encoding["add_offset"] = self.offset
        if self.nodata is not None and not isinstance(self.nodata, tuple):
            encoding["_FillValue"] = self.nodata
        return encoding


def is_number(stored: NDArray[Any], number: float) -> NDArray[np.bool_]:
    """Return where a block equals a number, within the precision of its type and of decimal digits in files.

    Parameters
    ----------
    stored : numpy.ndarray
        Numbers of a file.
    number : float
        As metadata state it, perhaps with few digits: ``-3.40282e+38`` is the smallest number of float32.

    Returns
    -------
    numpy.ndarray
        bool, same shape.
    """
    if stored.dtype.kind != "f":
        limits = np.iinfo(stored.dtype) if stored.dtype.kind in "iu" else None
        fits = number == round(number) if np.isfinite(number) else False
        if limits is None or not fits or not limits.min <= number <= limits.max:
            return np.zeros(stored.shape, bool)
        return np.asarray(stored == np.asarray(number).astype(stored.dtype))
    if np.isnan(number):
        return np.isnan(stored)
    if abs(number) >= _HUGE:
        return np.asarray(stored >= _HUGE if number > 0 else stored <= -_HUGE)
    return np.asarray(np.abs(stored - number) <= 8 * np.finfo(stored.dtype).eps * abs(number))


def choose_decoding(
    stored_dtype: np.dtype[Any],
    *,
    path: object,
    scale: float | None,
    scale_factor: Number | None = None,
    offset: Number | None = None,
    nodata: float | tuple[float | None, ...] | None = None,
    special: tuple[float, ...] = (),
    valid_range: Range | tuple[Range | None, ...] | None = None,
    bits: int | None = None,
    percent: bool = False,
    sample: Callable[[], NDArray[Any]],
) -> Decoding:
    """Decide how the stored numbers become values.

    The user's value takes precedence over that of the file. Integers without either get an assumed scale and a warning:
    all bits set, where the file says how many of them it uses; 255 for 8 bits; for wider ones 10000, common for
    reflectance products, unless a fourth of the pixels is beyond a reflectance of 2 or a hundredth beyond 4; then
    65535. So single clouds and saturated pixels do not matter. Floats are unchanged.

    Parameters
    ----------
    stored_dtype : numpy.dtype
        Type of the numbers in the file.
    path : path
        For messages.
    scale : float or None
        Given by the user: the stored number that represents 1.0. An offset of the file still applies, in stored
        numbers, except with 1, which keeps the numbers.
    scale_factor, offset : float, tuple of float or None
        Stated by the file; None if not stated.
    nodata : float, tuple of (float or None), or None
        The stored number that marks missing pixels.
    special, valid_range : optional
        See `Decoding`.
    bits : int, optional
        Number of used bits, as stated by the file.
    percent : bool
        The file's values are in percent: they are divided by 100, with a warning.
    sample : callable
        Returns the stored numbers of a sample of pixels, missing ones left out; called only when it matters.

    Returns
    -------
    Decoding

    Raises
    ------
    InputError
        Complex numbers, a scale that is not positive, or integers that no assumption fits.

    Warns
    -----
    FinewaveWarning
        A scale was assumed, or the user's scale goes with another offset than the file states.
    """
    stored_dtype = np.dtype(stored_dtype)
    if stored_dtype.kind not in "fiub":
        raise InputError(f"{path} holds {stored_dtype} values; finewave reads real numbers (integers or floats)")
    nodata = tuple(_in_range(n, stored_dtype) for n in nodata) if isinstance(nodata, tuple) else nodata
    nodata = nodata if isinstance(nodata, tuple) else _in_range(nodata, stored_dtype)

    if nodata is None and not special and offset is None and stored_dtype.kind in "if":
        special = tuple(n for n in USUAL_FILLS if stored_dtype.kind == "f" or np.iinfo(stored_dtype).min <= n)

    def decoding(factor: Number = 1.0, added: Number = 0.0) -> Decoding:
        return Decoding(stored_dtype, factor, added, nodata, special, valid_range)

    if scale is not None:
        if not (np.isfinite(scale) and scale > 0):
            raise InputError(f"full_scale= is the stored number that represents 1.0 and must be positive; got {scale}")
        if not all(each is None or np.all(np.isfinite(each)) for each in (scale_factor, offset)):
            return decoding(1.0 / scale)
        return decoding(1.0 / scale, _offset_under(scale, scale_factor, offset, path))
    for quantity, stated, is_usable in (
        ("scale factor", scale_factor, lambda number: np.isfinite(number) & (number != 0)),
        ("offset", offset, np.isfinite),
    ):
        if stated is not None and not np.all(is_usable(np.asarray(stated, np.float64))):
            raise InputError(
                f"{path} states the {quantity} {_shown(stated)}, with which no number is a value; state the stored "
                "number that represents 1.0: full_scale= of open_scene, --full-scale of commands; 1 keeps the numbers"
            )
    if percent:
        _warn(f"{path} states its values in percent: they were divided by 100 (full_scale=1 keeps the stored numbers)")
        scale_factor, offset = _hundredth(1.0 if scale_factor is None else scale_factor), _hundredth(offset or 0.0)
    if stored_dtype.kind == "f" and isinstance(scale_factor, float) and 0 < scale_factor <= _FACTOR_OF_INTEGERS:
        _warn_if_scaled_already(scale_factor, sample, path)
    if scale_factor is not None or offset is not None:
        return decoding(1.0 if scale_factor is None else scale_factor, 0.0 if offset is None else offset)
    if stored_dtype.kind in "fb":
        return decoding()
    assumed, why = _assumed_scale(stored_dtype, bits, sample, path)
    warnings.warn(
        f"{path} holds {stored_dtype} values without a scale; assumed that {assumed:g} represents 1.0{why} "
        f"(state another: full_scale= of open_scene, --full-scale of commands; 1 keeps the numbers)",
        FinewaveWarning,
        stacklevel=2,
    )
    return decoding(1.0 / assumed)


_FACTOR_OF_INTEGERS = 1e-3


def _warn_if_scaled_already(factor: float, sample: Callable[[], NDArray[Any]], path: object) -> None:
    """Warn of floats that seem to be reflectance, with a scale factor that remained from their integers."""
    numbers = np.abs(sample())
    numbers = numbers[np.isfinite(numbers) & (numbers < _FILL_FROM)]
    top = float(np.quantile(numbers, 0.99)) if numbers.size else 0.0
    if 0 < top <= 2:
        _warn(
            f"{path} holds floats up to about {top:.3g} and states the scale factor {factor:g}, which was applied; if "
            "they are reflectance already, state full_scale=1 (--full-scale 1)"
        )


def _hundredth(numbers: Number) -> Number:
    return tuple(each / 100 for each in numbers) if isinstance(numbers, tuple) else numbers / 100


def _warn(message: str) -> None:
    warnings.warn(message, FinewaveWarning, stacklevel=3)


def _in_range(nodata: float | None, dtype: np.dtype[Any]) -> float | None:
    """Return a nodata value converted to the type; None if no stored number can equal it."""
    if nodata is None or (dtype.kind == "f" and np.isnan(nodata)):
        return nodata
    if dtype.kind == "f":  # a fill value of doubles, in a file of floats
        limits = np.finfo(dtype)
        return float(np.clip(nodata, limits.min, limits.max))
    if dtype.kind == "b":
        return None
    whole = np.iinfo(dtype)
    return nodata if np.isfinite(nodata) and whole.min <= nodata <= whole.max else None


def _offset_under(scale: float, scale_factor: Number | None, offset: Number | None, path: object) -> Number:
    """Return the offset that goes with a scale of the user's: that of the file in stored numbers, if it has one."""
    if offset is None or not np.any(offset):
        return 0.0
    factor = np.asarray(1.0 if scale_factor is None else scale_factor, np.float64)
    if not np.all(factor):
        return 0.0
    if scale == 1:
        warnings.warn(
            f"{path} states an offset of {_shown(offset)}, which is not applied, because full_scale=1 keeps the stored "
            "numbers; leave it out to have the file's scale and offset",
            FinewaveWarning,
            stacklevel=3,
        )
        return 0.0
    added = np.asarray(offset, np.float64) / factor / scale
    if not np.allclose(factor * scale, 1.0, rtol=1e-6):
        warnings.warn(
            f"{path} states a scale factor of {_shown(factor.tolist())} and an offset of {_shown(offset)}; with "
            f"full_scale={scale:g} the offset is {_shown(added.tolist())} (leave it out to have the file's own)",
            FinewaveWarning,
            stacklevel=3,
        )
    return float(added) if added.ndim == 0 else tuple(added.tolist())


def _shown(values: Any) -> str:
    listed = [f"{each:g}" for each in dict.fromkeys(np.ravel(values).tolist())]
    return ", ".join(listed[:4]) + (", ..." if len(listed) > 4 else "")


_TWICE_WHITE, _FAR_BEYOND = 20000, 40000
"""Stored reflectances of 2 and 4, times 10000: clouds and glints reach the first, nothing on Earth the second."""
_MANY, _SOME = 0.25, 0.01
"""Shares of the pixels that speak against reflectances times 10000."""
_REFLECTANCE_BITS = 15  # as Sentinel-2's JPEG 2000 files state for reflectances times 10000


def _assumed_scale(
    dtype: np.dtype[Any], bits: int | None, sample: Callable[[], NDArray[Any]], path: object
) -> tuple[float, str]:
    """Return the number assumed to represent 1.0, and the reason."""
    if bits is not None and 0 < bits < 8 * dtype.itemsize and bits != _REFLECTANCE_BITS:
        return float(2**bits - 1), f", the largest number of the {bits} bits that it uses"
    if dtype.itemsize == 1:
        return 255.0, ""
    if dtype == np.int16:
        return 10000.0, ""
    numbers = sample()
    numbers = numbers[numbers != np.iinfo(dtype).max]  # saturated, or filled

    def share(beyond: float) -> float:
        return float(np.count_nonzero(numbers > beyond)) / max(1, numbers.size)

    if share(_TWICE_WHITE) <= _MANY and share(_FAR_BEYOND) <= _SOME:
        return 10000.0, ""
    if share(65535) <= _SOME:
        return 65535.0, ""
    raise InputError(
        f"{path} holds {dtype} values up to {numbers.max():g} and does not say their scale; "
        "state it, the stored value that represents 1.0: full_scale= of open_scene, --full-scale of commands"
    )
