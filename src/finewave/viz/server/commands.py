"""What a page asks of the server beyond the values of its controls."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

_LONGEST = 2000
COMMANDS = ("pick", "pin", "unpin", "label", "draw", "find", "save-spectra", "save-picture")


@dataclass(frozen=True)
class Command:
    """A command of a page.

    Attributes
    ----------
    do : str
        One of `COMMANDS`.
    number : int
        Slot of a pin, or entry of the library.
    text : str
        A label, or a part of a name.
    is_on : bool
        Whether an entry is to be drawn.
    at : (float, float)
        Column and row.
    """

    do: str
    number: int = -1
    text: str = ""
    is_on: bool = False
    at: tuple[float, float] = (0.0, 0.0)


def command_of(text: str) -> Command | None:
    """Return the command in a page's JSON; None for anything else, as whoever has the page may send what they like."""
    if len(text) > _LONGEST:
        return None
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or message.get("do") not in COMMANDS:
        return None
    number, label, at = message.get("number", -1), message.get("text", ""), message.get("at", [0, 0])
    if type(number) is not int or not isinstance(label, str) or not _is_place(at):
        return None
    return Command(message["do"], number, label, message.get("on") is True, (float(at[0]), float(at[1])))


def _is_place(at: Any) -> bool:
    return (
        isinstance(at, list)
        and len(at) == 2
        and all(type(each) in (int, float) and abs(each) < 1e9 and math.isfinite(each) for each in at)
    )
