"""Files that a page has made for its user to save, held in memory until they are fetched or too many."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass

MOST_KEPT = 8
"""Files in memory; the oldest is dropped first."""


@dataclass(frozen=True)
class Download:
    """A file: its name, kind, and content."""

    name: str
    kind: str
    content: bytes


class Downloads:
    """The files of all pages, by random keys."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, Download] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, name: str, kind: str, content: bytes) -> str:
        """Keep a file and return its key."""
        key = secrets.token_urlsafe(9)
        with self._lock:
            self._files[key] = Download(name, kind, content)
            while len(self._files) > MOST_KEPT:
                self._files.popitem(last=False)
        return key

    def take(self, key: str) -> Download | None:
        """Return a file and forget it; None if it is not there."""
        with self._lock:
            return self._files.pop(key, None)
