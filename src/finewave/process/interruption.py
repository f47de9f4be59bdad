"""An interruption that is not lost where Python ignores exceptions: in finalisers, and in what libraries call back."""

from __future__ import annotations

from threading import Event

_asked = Event()


def ask() -> None:
    """Note that the program is to stop."""
    _asked.set()


def forget() -> None:
    """Start again, for the next command of a process."""
    _asked.clear()


def is_asked() -> bool:
    """Return whether the program is to stop: then errors are of what was cut short, an import for instance."""
    return _asked.is_set()


def raise_if_asked() -> None:
    """Raise KeyboardInterrupt if the program is to stop: before anything is kept that a lost one may have cut short."""
    if _asked.is_set():
        raise KeyboardInterrupt
