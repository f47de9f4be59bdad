"""Path checks: inputs are never overwritten, and names from files are never used as paths."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from finewave.errors import InputError

_COMPANIONS = (".hdr", ".img", ".dat", ".bsq", ".bil", ".bip", ".envi", ".raw", "")
"""Companion extensions of ENVI images: writing one of them replaces all."""


def keep_inputs(inputs: Iterable[str | Path], outputs: Iterable[str | Path], remedy: str = "give another name") -> None:
    """Raise an error for an output that is an input, by name, link or hard link, or is inside of one.

    Parameters
    ----------
    inputs : iterable of path
        Input files or folders; missing ones are ignored.
    outputs : iterable of path
        Files or folders that will be written.
    remedy : str
        Advice for the message.

    Raises
    ------
    InputError
        One of them would be overwritten.
    """
    for output in map(Path, outputs):
        for source in map(Path, inputs):
            if not source.exists():
                continue
            written, read = _files(output), _files(source)
            if any(_is_same(one, other) for one in written for other in read):
                raise InputError(f"{output} is the input {source}, which would be overwritten: {remedy}")
            inside = source.is_dir() and source.resolve() in output.resolve().parents
            around = output.is_dir() and output.suffix and output.resolve() in source.resolve().parents
            if inside or around:
                where = "lies in" if inside else "holds"
                raise InputError(f"{output} {where} the input {source}, which would be changed: {remedy}")


def check_name(name: str, kind: str) -> None:
    """Refuse a name that a file or a recipe gives and that would lead somewhere as part of a path.

    Parameters
    ----------
    name : str
    kind : str
        Whose name it is, for the message.

    Raises
    ------
    InputError
        It is empty, longer than 200 characters, begins with a dot, or has a slash or something invisible in it.
    """
    if not name or len(name) > 200 or name.startswith(".") or any(c in "/\\:" or not c.isprintable() for c in name):
        raise InputError(
            f"{kind} {name[:80]!r} is not a plain name: letters, digits, dashes, dots inside, and at most 200 of them"
        )


def _files(path: Path) -> list[Path]:
    """Return a path and the companions of an ENVI image."""
    if path.suffix.lower() not in _COMPANIONS:
        return [path]
    stems = {path.with_suffix(""), path} if path.suffix else {path}
    return [path, *(Path(f"{stem}{suffix}") for stem in stems for suffix in _COMPANIONS)]


def _is_same(one: Path, other: Path) -> bool:
    if os.path.abspath(one) == os.path.abspath(other):  # noqa: PTH100  # Path.absolute keeps ".."
        return other.exists()
    return one.exists() and other.exists() and one.samefile(other)
