"""Python's collector is left out while a command loads, and works again when tiles are made."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

from finewave.process.collector import paused_collector, resume_collector


class Knot:
    """An object that only the collector can free."""

    def __init__(self) -> None:
        self.self = self


def collects() -> bool:
    """Whether the collector runs by itself."""
    knot = weakref.ref(Knot())
    kept = [[] for _ in range(3 * max(gc.get_threshold()[0], 700))]
    return len(kept) > 0 and knot() is None


def test_nothing_is_collected_until_that_is_asked_for() -> None:
    assert collects(), "a test before this one has left it off"
    with paused_collector():
        assert not collects()
        with paused_collector():  # a command called by another
            pass
        assert not collects()
        resume_collector()
        assert collects()
        resume_collector()
    assert collects()


def test_whoever_has_switched_it_off_keeps_it_off() -> None:
    gc.disable()
    try:
        with paused_collector():
            resume_collector()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_dask_imported_in_a_pause_does_not_switch_it_off_later() -> None:
    """What it decorates with its own pause, as slicing, ends in the state that it found when it was imported."""
    code = """
import gc
from finewave.process.collector import paused_collector
with paused_collector():
    import dask.array
dask.array.zeros((4, 4), chunks=2)[1:3, 0].compute()
print(gc.isenabled(), gc.get_threshold()[0] > 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


def test_dask_imported_while_tests_are_collected_does_not_either() -> None:
    import dask.array

    dask.array.zeros((4, 4), chunks=2)[1:3, 0].compute()
    assert gc.isenabled()
