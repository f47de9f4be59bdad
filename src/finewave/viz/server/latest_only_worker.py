"""A worker thread that drops all waiting requests but the latest."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class LatestOnlyWorker:
    """Run one request at a time; a newer request replaces the waiting one.

    Parameters
    ----------
    failed : callable
        Called in the thread with exceptions of requests.
    """

    def __init__(self, failed: Callable[[Exception], Any]) -> None:
        self._failed = failed
        self._waiting: Callable[[], Any] | None = None
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ended = False

    def submit(self, work: Callable[[], Any]) -> None:
        """Run ``work`` after the current request, unless a newer request replaces it."""
        with self._news:
            self._waiting = work
            if self._thread is None:
                # a daemon: a page that is busy does not keep the program from ending
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            self._news.notify()

    @property
    def superseded(self) -> bool:
        """Whether a newer request is waiting, so that the current one may stop."""
        return self._waiting is not None or self._ended

    def end(self) -> None:
        """Accept no more requests."""
        with self._news:
            self._ended = True
            self._waiting = None
            self._news.notify()

    def join(self, seconds: float) -> bool:
        """Wait for the current request after `end`; return whether it is done."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._waiting is not None or self._ended)
                if self._ended:
                    return
                work, self._waiting = self._waiting, None
            assert work is not None  # finished
            try:
                work()
            except Exception as error:
                self._failed(error)
