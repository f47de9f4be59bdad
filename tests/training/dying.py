"""Trainings that are killed at the same step on any machine, however busy: they do it themselves."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

VARIABLE = "DIE_AT_CHECKPOINT"


def dying(moment: str) -> dict[str, str]:
    """Return what the environment of a program that calls `die_if_asked` lacks: ``"after 1"`` or ``"within 3"``."""
    return {VARIABLE: moment}


def die_if_asked() -> None:
    """Write checkpoints after every step; have SIGKILL come after one, or while it has its temporary name."""
    from finewave.training import callbacks

    callbacks.CHECKPOINT_SECONDS = 0.0
    if VARIABLE not in os.environ:
        return
    where, _, number = os.environ[VARIABLE].partition(" ")
    count = 0
    save, flush = callbacks.MinuteCheckpoint._save, callbacks.flush_to_disk

    def counted_save(self: callbacks.MinuteCheckpoint, *arguments: Any) -> None:
        nonlocal count
        count += 1
        save(self, *arguments)
        if where == "after" and count == int(number):
            os.kill(os.getpid(), signal.SIGKILL)

    def dying_flush(path: Path) -> None:
        flush(path)
        if where == "within" and count == int(number):
            os.kill(os.getpid(), signal.SIGKILL)

    callbacks.MinuteCheckpoint._save = counted_save  # type: ignore[method-assign]
    callbacks.flush_to_disk = dying_flush
