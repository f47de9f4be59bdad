"""The command line of measurements that take names and flags: ``--help`` describes one, and begins none."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def names_and_flags(description: str | None, *flags: str, names: str = "") -> list[str]:
    """Return the arguments of the program: names, and those of the flags that were given.

    Parameters
    ----------
    description : str or None
        Of the module, which ``--help`` prints.
    flags : str
        ``"--write"``, for instance.
    names : str
        What is named; empty: nothing is, and a name is refused.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if names:
        parser.add_argument("names", nargs="*", metavar=names)
    for flag in flags:
        parser.add_argument(flag, action="append_const", const=flag, dest="flags")
    given: argparse.Namespace = parser.parse_intermixed_args(sys.argv[1:])
    chosen: Sequence[str] = getattr(given, "names", [])
    return [*chosen, *(getattr(given, "flags", None) or [])]
