"""The exception for errors that the user can correct, and its standard messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """The user's input cannot be used: a file, a name, a shape or a value.

    The message says what was given, what is accepted and how to correct it. The command line prints it on one line and
    exits with status 2.
    """


def unknown_name(kind: str, name: object, accepted: Iterable[str]) -> InputError:
    """Return the error for a name that does not exist, naming the nearest one that does.

    Parameters
    ----------
    kind : str
        Kind of the name, e.g. ``"model"``.
    name : object
        What the user gave. Only text has a nearest name.
    accepted : iterable of str
        The valid names.

    Returns
    -------
    InputError
        To be raised by the caller.
    """
    names = sorted(accepted)
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5) if isinstance(name, str) else []
    hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
    return InputError(f"unknown {kind} {name!r}{hint} Valid: {', '.join(names) or 'none'}")
