"""What a file says that it holds, against what it can hold by its size."""

from __future__ import annotations

from pathlib import Path

from finewave.errors import InputError

_SMALL_BYTES = 2**28
_LARGEST_RATIO = 1200
"""Deflate makes one byte of 1032 at most; what is smaller than that is empty for the most part."""


def check_declared(path: Path, declared: int) -> None:
    """Refuse an image far larger than its file can hold: coordinates and values of it would fill the memory.

    Parameters
    ----------
    path : pathlib.Path
        A file or the folder of a store.
    declared : int
        Bytes of the stored numbers.

    Raises
    ------
    InputError
        They are more than any compression makes of so few.
    """
    if declared <= _SMALL_BYTES:
        return
    held = 0
    for each in path.rglob("*") if path.is_dir() else [path]:
        if each.is_file():
            held += each.stat().st_size
        if declared <= _LARGEST_RATIO * held:
            return
    if path.exists():
        raise InputError(
            f"{path} says that it holds {declared / 1e6:.0f} MB and has {held / 1e6:.3g} MB: it is cut short, damaged "
            "or nearly empty; crop it to where it has values"
        )
