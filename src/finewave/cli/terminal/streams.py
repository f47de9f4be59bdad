"""Output streams: results to standard output, all else to standard error, or nowhere with ``--quiet``."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import click

_QUIET = ContextVar("quiet", default=False)

json_option: Callable[[Any], Any] = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document, and nothing else, on standard output."
)


@contextmanager
def quietness(quiet: bool) -> Iterator[None]:
    """Leave out progress and notes inside; results, warnings and errors stay."""
    token = _QUIET.set(quiet)
    try:
        yield
    finally:
        _QUIET.reset(token)


def is_quiet() -> bool:
    """Whether progress and notes are left out."""
    return _QUIET.get()


def note(line: str) -> None:
    """Print what is not part of the result."""
    if not is_quiet():
        click.echo(line, err=True)


@contextmanager
def working(as_json: bool = False) -> Iterator[None]:
    """Keep output of libraries and trainings off standard output, for ``--json`` and ``--quiet``."""
    if is_quiet():
        with Path(os.devnull).open("w", encoding="utf-8") as null, redirect_stdout(null):
            yield
    elif as_json:
        with redirect_stdout(sys.stderr):
            yield
    else:
        yield


def print_json(document: Any) -> None:
    """Print a document; paths become strings, NaN and infinity become null."""
    click.echo(json.dumps(_plain(document), indent=2, ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    """Convert to JSON types."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value
