"""Python's collector is left out while a command loads, and works again when tiles are made."""

from __future__ import annotations

import gc
import weakref

from finewave.collector import paused_collector, resume_collector


class Knot:
    """An object that only the collector can free."""

    def __init__(self) -> None:
        self.self = self


def test_nothing_is_collected_until_that_is_asked_for() -> None:
    assert gc.isenabled()
    with paused_collector():
        assert not gc.isenabled()
        with paused_collector():  # a command called by another
            pass
        assert not gc.isenabled()
        resume_collector()
        assert gc.isenabled()
        knot = weakref.ref(Knot())
        gc.collect()
        assert knot() is None
    assert gc.isenabled()


def test_whoever_has_switched_it_off_keeps_it_off() -> None:
    gc.disable()
    try:
        with paused_collector():
            resume_collector()
        assert not gc.isenabled()
    finally:
        gc.enable()
