"""How much of a run is done, counted in steps or in minutes, across interruptions."""

from __future__ import annotations

import time


class RunClock:
    """Part of a run that is done: by steps, or by training time where a time budget is given.

    Parameters
    ----------
    steps : int
        Length of the run in steps; with ``minutes`` an upper bound.
    minutes : float or None
        Length of the run in minutes of training, interruptions not counted.
    """

    def __init__(self, steps: int, minutes: float | None = None) -> None:
        self.steps, self.minutes = steps, minutes
        self.seconds_before, self._since = 0.0, time.monotonic()

    @property
    def seconds(self) -> float:
        """Training time so far."""
        return self.seconds_before + time.monotonic() - self._since

    def restart(self, seconds_before: float) -> None:
        """Continue a run that had lasted ``seconds_before``."""
        self.seconds_before, self._since = seconds_before, time.monotonic()

    def progress(self, step: int) -> float:
        """Return the part that is done after ``step`` steps, in [0, 1]."""
        done = step / self.steps
        if self.minutes is not None:
            done = max(done, self.seconds / (60 * self.minutes))
        return min(1.0, done)
