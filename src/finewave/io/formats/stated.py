"""Metadata about stored numbers: scale, offset, missing numbers; in any spelling."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

_FACTORS = frozenset({"scalefactor", "reflectancescale", "reflectancemult", "multiplicativefactor"})
_OFFSETS = frozenset({"addoffset", "reflectanceadd", "reflectanceoffset", "additiveoffset"})
#: Unambiguous for an array or a band; among the attributes of a file they could be a map's scale.
_SHORT_FACTORS = frozenset({"scale", "slope"})
_SHORT_OFFSETS = frozenset({"offset", "intercept"})
#: The stored number that represents 1.0.
_DIVISORS = frozenset({"reflectancescalefactor", "quantificationvalue", "boaquantificationvalue", "fullscale"})
_MISSING = frozenset({"fillvalue", "missingvalue", "nodata", "nodatavalue", "dataignorevalue", "ignorevalue"})
_SATURATED = frozenset({"saturated", "saturatedvalue", "saturationvalue", "saturationdn"})

LARGEST_FACTOR = 100.0
"""Larger "scale factors" are divisors, such as NEON's 10000."""


@dataclass(frozen=True)
class Stated:
    """Metadata about the numbers of one array; None or empty if not stated.

    Attributes
    ----------
    scale_factor, offset : float or None
        ``value = stored * scale_factor + offset``.
    missing : tuple of float
        Stored numbers that mark missing values: fill values first, then saturated pixels.
    valid_range : (float, float) or None
        Smallest and largest stored number that is a value.
    """

    scale_factor: float | None = None
    offset: float | None = None
    missing: tuple[float, ...] = ()
    valid_range: tuple[float, float] | None = None


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
    factors, offsets = (_FACTORS, _OFFSETS) if of_whole_file else (_FACTORS | _SHORT_FACTORS, _OFFSETS | _SHORT_OFFSETS)
    factor = _first(known, factors)
    divisor = _first(known, _DIVISORS)
    if divisor is not None and divisor > 0:
        factor = 1.0 / divisor
    elif factor is not None:
        factor = as_factor(factor)
    offset = _first(known, offsets)
    if floats and of_whole_file:
        factor = offset = None
    missing = (*_all(known, _MISSING), *_all(known, _SATURATED))
    return Stated(factor, offset, tuple(dict.fromkeys(missing)), _valid_range(known, floats))


def as_factor(stated: float) -> float:
    """Return the number to multiply by, of one that some files mean to divide by.

    Zero, NaN and infinity are unchanged; `finewave.io.formats.decoding.choose_decoding` rejects them.
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


def _first(known: Mapping[str, Any], names: frozenset[str]) -> float | None:
    return next(_all(known, names), None)


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
