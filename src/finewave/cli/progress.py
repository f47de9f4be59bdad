"""Progress: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from tqdm import tqdm

QUIET_SECONDS = 10.0


class Progress:
    """Show how much of some work is done; call it with (done, total).

    Parameters
    ----------
    what : str
        Name of the work, for the bar or the lines.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.bar: tqdm[NoReturn] | None = None
        self.last = time.monotonic()
        self.begun: tuple[int, float] | None = None

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` pieces are ready."""
        if total <= 1:
            return
        if self.begun is None:
            # what is done by the first call was done earlier, unless it is one piece of work that is told when done
            self.begun = (0, self.last) if done == 1 else (done, time.monotonic())
        if sys.stderr.isatty():
            if self.bar is None:
                from tqdm import tqdm

                self.bar = tqdm(total=total, desc=self.what, leave=False, initial=self.begun[0])
            self.bar.update(done - self.bar.n)
        elif time.monotonic() - self.last >= QUIET_SECONDS:
            self.last = time.monotonic()
            click.echo(f"{self.what}: {done} of {total}{self._left(done, total)}", err=True)

    def _left(self, done: int, total: int) -> str:
        """Return how long the rest takes at the speed so far."""
        assert self.begun is not None
        first, start = self.begun
        if done <= first or done == total:
            return ""
        seconds = (time.monotonic() - start) / (done - first) * (total - done)
        hours, minutes = divmod(round(seconds / 60), 60)
        return f", {hours} h {minutes:02d} min left" if hours else f", {max(minutes, 1)} min left"

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.close()
