"""Metadata about stored numbers: scale, offset, missing numbers; in any spelling."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from finewave.errors import InputError
from finewave.io.formats.values.decoding import Number
from finewave.warnings import FinewaveWarning

_FACTORS = frozenset({"scalefactor", "reflectancescale", "reflectancemult", "multiplicativefactor"})
_OFFSETS = frozenset({"addoffset", "reflectanceadd", "reflectanceoffset", "additiveoffset"})
#: Unambiguous for an array or a band; among the attributes of a file they could be a map's scale.
_SHORT_FACTORS = frozenset({"scale", "slope"})
_SHORT_OFFSETS = frozenset({"offset", "intercept", "bias"})
#: Only beside an offset.
_GAINS = frozenset({"gain"})
#: The stored number that represents 1.0.
_DIVISORS = frozenset({"reflectancescalefactor", "quantificationvalue", "boaquantificationvalue", "fullscale"})
#: Offsets in stored numbers, as in the metadata of Sentinel-2.
_STORED_OFFSETS = frozenset({"boaaddoffset", "radioaddoffset"})
_MISSING = frozenset(
    {
        *("fillvalue", "missingvalue", "nodata", "nodatavalue", "dataignorevalue", "ignorevalue"),
        *("invalidvalue", "nullvalue", "badvalue", "badvaluescaled", "novalue"),
    }
)
_SATURATED = frozenset({"saturated", "saturatedvalue", "saturationvalue", "saturationdn"})

_NUMBERS = frozenset().union(
    _FACTORS, _OFFSETS, _SHORT_FACTORS, _SHORT_OFFSETS, _GAINS, _DIVISORS, _STORED_OFFSETS, _MISSING, _SATURATED
)

LARGEST_FACTOR = 100.0
"""Larger "scale factors" are divisors, such as NEON's 10000."""


@dataclass(frozen=True)
class Stated:
    """Metadata about the numbers of one array; None or empty if not stated.

    Attributes
    ----------
    scale_factor, offset : float, tuple of float or None
        ``value = stored * scale_factor + offset``; one number, or one per band.
    missing : tuple of float
        Stored numbers that mark missing values: fill values first, then saturated pixels.
    valid_range : (float, float) or None
        Smallest and largest stored number that is a value.
    percent : bool
        The values, after scale and offset, are in percent.
    """

    scale_factor: Number | None = None
    offset: Number | None = None
    missing: tuple[float, ...] = ()
    valid_range: tuple[float, float] | None = None
    percent: bool = False

    def of_band(self, index: int) -> Stated:
        """Return what is stated for one band, where lists have one number per band."""
        factor, offset = (
            each[index] if isinstance(each, tuple) and index < len(each) else each
            for each in (self.scale_factor, self.offset)
        )
        return replace(self, scale_factor=factor, offset=offset)

    def otherwise(self, other: Stated) -> Stated:
        """Return this, completed by what else is stated, such as by the file for an array."""
        own = self.scale_factor is not None or self.offset is not None
        return replace(
            self,
            scale_factor=self.scale_factor if own else other.scale_factor,
            offset=self.offset if own else other.offset,
            missing=self.missing or other.missing,
            valid_range=self.valid_range or other.valid_range,
        )

    def check(self, bands: int, path: object) -> Stated:
        """Raise an error if a list has not one number per band."""
        for name, each in (("scale factors", self.scale_factor), ("offsets", self.offset)):
            if isinstance(each, tuple) and len(each) != bands:
                raise InputError(
                    f"{path} states {len(each)} {name} for {bands} bands; correct it, or state the stored number that "
                    "represents 1.0: full_scale= of open_scene, --full-scale of commands"
                )
        return self


def stated_in(attributes: Mapping[Any, Any], *, of_whole_file: bool = False, floats: bool = False) -> Stated:
    """Read metadata about stored numbers from attributes.

    Parameters
    ----------
    attributes : mapping
        Of an array, a band or a file; names in any case, with underscores, hyphens or spaces.
    of_whole_file : bool
        Ignore names that could mean something else there, such as ``scale``.
    floats : bool
        The stored numbers are floats. An integer valid range, and scale and offset of a whole file, are then remains of
        the original integers.

    Returns
    -------
    Stated
    """
    known = {plain_key(str(name)): value for name, value in attributes.items()}
    factors = _FACTORS if of_whole_file else _FACTORS | _SHORT_FACTORS
    factor = _one_or_per_band(_list(known, factors), as_factor)
    divisors = _list(known, _DIVISORS)
    if divisors and min(divisors) > 0:
        factor = _one_or_per_band(divisors, lambda number: 1.0 / number)
    offset = _one_or_per_band(_list(known, _OFFSETS), float)
    if not of_whole_file and offset is None and (short := _list(known, _SHORT_OFFSETS)):
        # "gain" alone may be that of a camera, and "offset" alone where its numbers begin
        factor = factor if factor is not None else _one_or_per_band(_list(known, _GAINS), float)
        offset = _one_or_per_band(short, float) if factor is not None else None
    if offset is None and isinstance(factor, float):
        offset = _one_or_per_band([factor * each for each in _list(known, _STORED_OFFSETS)], float)
    if floats and of_whole_file:
        factor = offset = None
    missing = (*_all(known, _MISSING), *_all(known, _SATURATED))
    valid = _valid_range(known, floats)
    if valid is not None and not floats and isinstance(factor, float) and isinstance(offset, float | None):
        valid = _as_stored(valid, factor, offset or 0.0)
    return Stated(factor, offset, tuple(dict.fromkeys(missing)), valid, _is_percent(known))


def warn_of_numbers_beside(shapes: Mapping[str, tuple[int, ...]], bands: int, path: object) -> None:
    """Warn of scale factors or offsets in arrays beside an image: whether they belong to it, nobody says.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Of the arrays of numbers beside an image that states no scale of its own.
    bands : int
        Of the image.
    path : object
        The file, for the message.
    """
    known = _FACTORS | _SHORT_FACTORS | _DIVISORS | _OFFSETS | _SHORT_OFFSETS | _GAINS
    for name, shape in shapes.items():
        size = math.prod(shape)
        if plain_key(name.rsplit("/", 1)[-1]) in known and size in (1, bands) and size == max(shape, default=1):
            warnings.warn(
                f"{path}: {name} stands beside the image and is not applied to its numbers; if it belongs to "
                "them, give full_scale= (--full-scale, the stored number that represents 1.0) or apply it before",
                FinewaveWarning,
                stacklevel=5,
            )


_PERCENT = re.compile(r"(?:[a-z ]*reflectance)?[\s\[(]*(?:%|percent|per cent|pct)[\s\])]*")


def _is_percent(known: Mapping[str, Any]) -> bool:
    """Whether the unit of the values is percent."""
    return any(_PERCENT.fullmatch(str(known[key]).strip(" {}").lower()) for key in _UNITS.intersection(known))


_UNITS = frozenset({"unit", "units", "dataunit", "dataunits", "unittype"})


def _as_stored(valid: tuple[float, float], factor: float, offset: float) -> tuple[float, float]:
    """Return a valid range in stored numbers, also of one that can only be meant in values: 0 to 1.6, of integers."""
    low, high = valid
    if not np.isfinite(high) or factor <= 0 or high * factor + offset >= _LEAST_TOP:
        return valid
    return (low - offset) / factor, (high - offset) / factor


_LEAST_TOP = 0.05
"""The largest valid reflectance is more than this."""


def _list(known: Mapping[str, Any], names: frozenset[str]) -> list[float]:
    """Return the numbers of the first of these attributes that has some."""
    return next((each for name in sorted(names.intersection(known)) if (each := numbers_of(known[name]))), [])


def _one_or_per_band(numbers: list[float], convert: Callable[[float], float]) -> Number | None:
    converted = [convert(each) for each in numbers]
    if not converted:
        return None
    return converted[0] if len(set(converted)) == 1 else tuple(converted)


def states_numbers(attributes: Mapping[Any, Any]) -> bool:
    """Return whether attributes have a scale factor, an offset or a fill value."""
    known = {plain_key(str(name)) for name in attributes}
    return bool(known & (_FACTORS | _SHORT_FACTORS | _OFFSETS | _SHORT_OFFSETS | _DIVISORS | _MISSING))


def is_about_numbers(name: str, value: Any) -> bool:
    """Return whether an attribute describes stored numbers; a scene, whose values are decoded, has no use for it.

    Saved with the scene, it would be applied a second time.
    """
    key = plain_key(name)
    if key in _UNITS:
        return _is_percent({key: value})
    of_numbers = key in _NUMBERS or key in ("validrange", "validmin", "validmax")
    return of_numbers and bool(numbers_of(value))


def without_numbers(attributes: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return the attributes of a scene without those that `is_about_numbers` finds."""
    return {key: value for key, value in attributes.items() if not is_about_numbers(str(key), value)}


def as_factor(stated: float) -> float:
    """Return the number to multiply by, of one that some files mean to divide by.

    Zero, NaN and infinity are unchanged; `finewave.io.formats.values.decoding.choose_decoding` rejects them.
    """
    return 1.0 / stated if LARGEST_FACTOR <= stated < np.inf else stated


def plain_key(name: str) -> str:
    """Return a name without case, spaces and punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def numbers_of(value: Any) -> list[float]:
    """Return the numbers in an attribute: a number, a list, an array, or text with numbers in it; otherwise empty."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if isinstance(value, str):
        value = [each for each in re.split(r"[,;\s]+", value.strip().strip("{}[]()")) if each]
    try:
        return list(map(float, np.ravel(np.asarray(value))))
    except (TypeError, ValueError):
        return []


def _all(known: Mapping[str, Any], names: frozenset[str]) -> Iterator[float]:
    for name in sorted(names.intersection(known)):
        yield from numbers_of(known[name])


def _valid_range(known: Mapping[str, Any], floats: bool) -> tuple[float, float] | None:
    if floats:
        known = {key: value for key, value in known.items() if not (key.startswith("valid") and _is_whole(value))}
    ends = numbers_of(known.get("validrange", ()))
    low, high = ends if len(ends) == 2 else (-np.inf, np.inf)
    low = next(iter(numbers_of(known.get("validmin", ()))), low)
    high = next(iter(numbers_of(known.get("validmax", ()))), high)
    return (low, high) if low < high and (np.isfinite(low) or np.isfinite(high)) else None


def _is_whole(value: Any) -> bool:
    """Whether an attribute was written as integers."""
    if isinstance(value, (str, bytes)):
        return "." not in str(value)
    return np.asarray(value).dtype.kind in "iu"
