"""Progress: a bar on a terminal, occasional plain lines elsewhere, nothing with ``--quiet``."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

import click

from finewave.cli.terminal.streams import is_quiet, note

if TYPE_CHECKING:
    from tqdm import tqdm

QUIET_SECONDS = 10.0


class Progress:
    """Show how much of some work is done; call it with (done, total).

    Parameters
    ----------
    what : str
        Name of the work, for the bar or the lines.
    in_bytes : bool
        Whether it is bytes that are counted.
    """

    def __init__(self, label: str, *, in_bytes: bool = False) -> None:
        self.what, self.in_bytes = label, in_bytes
        self.bar: tqdm[NoReturn] | None = None
        self.last = time.monotonic()
        self.begun: tuple[int, float] | None = None
        self.seen = (0, 0)

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` pieces are ready."""
        if total <= 1 or is_quiet():
            return
        if done < self.seen[0] or total != self.seen[1] != 0:
            self._start_anew()
        self.seen = (done, total)
        if self.begun is None:
            # work done by the first call was done in an earlier run, unless there is only one unit of work
            self.begun = (0, self.last) if done == 1 else (done, time.monotonic())
        if sys.stderr.isatty():
            if self.bar is None:
                from tqdm import tqdm

                unit = "B" if self.in_bytes else "it"
                self.bar = tqdm(
                    total=total, desc=self.what, leave=False, initial=self.begun[0], unit=unit, unit_scale=self.in_bytes
                )
            self.bar.update(done - self.bar.n)
        elif time.monotonic() - self.last >= QUIET_SECONDS:
            self.last = time.monotonic()
            parts = f"{done / 1e6:.1f} of {total / 1e6:.1f} MB" if self.in_bytes else f"{done} of {total}"
            click.echo(f"{self.what}: {parts}{self._left(done, total)}", err=True)

    def note(self, line: str) -> None:
        """Print a line above the bar."""
        if self.bar is None:
            note(line)
        elif not is_quiet():
            self.bar.write(line, file=sys.stderr)

    def _start_anew(self) -> None:
        """Begin with the next piece of work of the same name."""
        if self.bar is not None:
            self.bar.close()
        self.bar = self.begun = None
        self.last = time.monotonic()

    def _left(self, done: int, total: int) -> str:
        """Return how long the rest takes at the speed so far."""
        assert self.begun is not None
        first, start = self.begun
        if done <= first or done == total:
            return ""
        return f", {in_words((time.monotonic() - start) / (done - first) * (total - done))} left"

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.close()


def in_words(seconds: float) -> str:
    """Return a time to the minute."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{max(minutes, 1)} min"
