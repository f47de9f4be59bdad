"""Python's collector of cyclic garbage, which has nothing to find while libraries are loaded and at the end."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

_before: tuple[int, int, int] | None = None
"""Thresholds of the collector before it was paused; None while it is not."""


@contextmanager
def paused_collector() -> Iterator[None]:
    """Do not collect until `resume_collector` is called or the block ends; only for programs, not for the library.

    Loading PyTorch and xarray makes a million objects that stay. The collector would look through all of them again
    and again, and twice more when the program ends: a fifth of the processor time of a small prediction.

    It is paused by its threshold and stays enabled: what Dask does without the collector leaves it as it was when Dask
    was imported, so that Dask imported while it is disabled would disable it for good.
    """
    global _before
    if not gc.isenabled() or _before is not None or not gc.get_threshold()[0]:
        yield
        return
    atexit.register(gc.freeze)  # the system takes all memory back at once
    _before = gc.get_threshold()
    gc.set_threshold(0)
    try:
        yield
    finally:
        resume_collector()


def resume_collector() -> None:
    """Collect again, among objects made from now on; does nothing unless it was `paused_collector` that stopped it."""
    global _before
    if _before is not None:
        gc.freeze()
        gc.set_threshold(*_before)
        _before = None
