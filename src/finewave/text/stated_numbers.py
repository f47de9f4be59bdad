"""Numbers and structures that a file states, with an error that names what was found instead."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from finewave.errors import InputError


def number_in(value: Any, what: str, *, kind: Callable[[Any], float] = float) -> float:
    """Return a finite number that a file states, or raise an `InputError`.

    Parameters
    ----------
    value : object
        As it was read.
    what : str
        Where it stands, for the message: ``"a.json: radius of spot 3"``.
    kind : callable
        ``int`` for whole numbers.
    """
    try:
        number = kind(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        expected = "a whole number" if kind is int else "a number"
        raise InputError(f"{what} is {_short(value)}, where {expected} is expected")
    return number


def mapping_in(value: Any, what: str) -> dict[str, Any]:
    """Return an object of JSON, an empty one for null; an `InputError` names anything else."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{what} is {_short(value)}, where names with values are expected")
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
