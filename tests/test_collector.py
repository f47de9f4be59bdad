"""Python's collector is left out while a command loads, and works again when tiles are made."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from finewave.collector import paused_collector, resume_collector


class Knot:
    """An object that only the collector can free."""

    def __init__(self) -> None:
        self.self = self


@pytest.fixture(autouse=True)
def _collector_at_work() -> Iterator[None]:
    """As in a new process: libraries that stop it in several threads at a time can leave it off."""
    gc.enable()
    yield
    gc.enable()


def test_nothing_is_collected_until_that_is_asked_for() -> None:
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
    with paused_collector():
        resume_collector()
    assert not gc.isenabled()
