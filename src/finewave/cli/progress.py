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

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` pieces are ready."""
        if total <= 1:
            return
        if sys.stderr.isatty():
            if self.bar is None:
                from tqdm import tqdm

                self.bar = tqdm(total=total, desc=self.what, leave=False)
            self.bar.update(done - self.bar.n)
        elif time.monotonic() - self.last >= QUIET_SECONDS:
            self.last = time.monotonic()
            click.echo(f"{self.what}: {done} of {total}", err=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.close()
