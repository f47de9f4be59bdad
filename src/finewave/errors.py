"""The one kind of error that is the user's to mend, and the words that help to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """What the user gave cannot be used: a file, a name, a shape, a value.

    The message says what was given, what is accepted and how to mend it. The command line prints it on one
    line and ends with exit status 2.
    """


def unknown_name(kind: str, given: object, accepted: Iterable[str]) -> InputError:
    """Return the error for a name that does not exist, naming the nearest one that does.

    Parameters
    ----------
    kind : str
        What the name stands for, e.g. ``"model"``.
    given : object
        What the user gave; nothing is near to what is no text.
    accepted : iterable of str
        The valid names.

    Returns
    -------
    InputError
        To be raised by the caller.
    """
    names = sorted(accepted)
    nearest = difflib.get_close_matches(given, names, n=1, cutoff=0.5) if isinstance(given, str) else []
    hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
    return InputError(f"unknown {kind} {given!r}{hint} Valid: {', '.join(names) or 'none'}")
