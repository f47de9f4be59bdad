"""Numbers of NumPy as Python's own, so that options accept both and JSON can hold them."""

from __future__ import annotations

from typing import Any


def as_plain(value: Any) -> Any:
    """Return a value with NumPy's scalars and arrays, also inside lists and tuples, as Python's numbers and lists."""
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(as_plain(each) for each in value)
    return value


def signed(value: float, decimals: int = 2) -> str:
    """Return a difference with its sign, "+0.00" of what is rounded to nothing.

    Examples
    --------
    >>> signed(-0.004), signed(-0.14, 1)
    ('+0.00', '-0.1')
    """
    return f"{round(value, decimals) + 0.0:+.{decimals}f}"
