"""When a scene was taken: dates as files and products write them, as ISO 8601 in UTC."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

# Attributes that state it, without case and separators, the best one first.
_NAMES = (
    "datetime", "acquisitiondatetime", "acquisitiontime", "acquisitiondate", "acquired", "sensingtime",
    "timecoveragestart", "startdatetime", "productstarttime", "producttimestart", "datatakesensingstart",
)  # fmt: skip
_TIMES = ("starttime", "scenecentertime")
_DAY_IN_NAME = re.compile(r"(?<!\d)((?:19|20)\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?:[Tt_]?(\d{6}))?(?!\d)")


def utc(text: object) -> str | None:
    """Return a date as ISO 8601: ``2024-05-01T10:20:30Z``, or ``2024-05-01`` where the time is not stated.

    Parameters
    ----------
    text : object
        A string, bytes or ``datetime``: ISO 8601 with or without time, zone and fractions, of a TIFF
        (``2024:05:01 10:20:30``), of an ENVI header (``DATE(dd-mm-yyyy): 01-05-2024``). Without a zone it is UTC.

    Returns
    -------
    str or None
        To the second, or to the millisecond if the second has a fraction. None for anything else, and for years before
        1900.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", errors="replace")
    if isinstance(text, datetime):
        return _written(text)
    if isinstance(text, int) and 19000101 <= text <= 99991231:  # 20240501, which was text in the file
        text = str(text)
    if not isinstance(text, str):
        return None
    plain = _year_first(text.strip().strip("\"'"))
    plain = re.sub(r"^(\d{4}):(\d\d):(\d\d)", r"\1-\2-\3", plain)
    plain = re.sub(r"\s*(UTC|GMT)$", "Z", plain)
    plain = re.sub(r"(\.\d{6})\d+", r"\1", plain)  # Landsat has seven digits
    try:
        found = datetime.fromisoformat(plain)
        if found.year < 1900:
            return None
        return found.date().isoformat() if re.fullmatch(r"\d{4}-?\d\d-?\d\d", plain) else _written(found)
    except (ValueError, OverflowError):  # the second of the end of the year 9999 in another zone
        return None


def _year_first(text: str) -> str:
    """Return a date of a header of Specim or HySpex as ISO 8601; others as they are."""
    matched = re.fullmatch(r"DATE\s*\(([dmy.-]+)\)\s*:\s*(\d+)[-.](\d+)[-.](\d+)", text, re.IGNORECASE)
    if matched is None:
        return text
    order = [part[0] for part in re.split(r"[-.]", matched[1].lower()) if part]
    parts = dict(zip(order, matched.groups()[1:], strict=False))
    return f"{parts['y']:0>4}-{parts['m']:0>2}-{parts['d']:0>2}" if set(parts) == {"y", "m", "d"} else text


def _written(found: datetime) -> str:
    found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    return found.isoformat(timespec="milliseconds" if found.microsecond >= 1000 else "seconds").replace("+00:00", "Z")


def stated_date(attrs: Mapping[Any, Any]) -> str | None:
    """Return the date of acquisition that attributes state, as `utc` writes it; None if they do not.

    A day of its own is joined with a time of its own (``acquisition date`` and ``start time``, ``DATE_ACQUIRED`` and
    ``SCENE_CENTER_TIME``).
    """
    known = {re.sub(r"[^a-z0-9]", "", str(key).lower()): value for key, value in attrs.items()}
    for name in (*_NAMES, "dateacquired"):
        found = utc(known.get(name))
        if found is None:
            continue
        return found if "T" in found else next(filter(None, (_joined(found, known.get(t)) for t in _TIMES)), found)
    return None


def _joined(day: str, time: object) -> str | None:
    if isinstance(time, bytes):
        time = time.decode("utf-8", errors="replace")
    matched = re.search(r"\d{1,2}:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?", time) if isinstance(time, str) else None
    return None if matched is None else utc(f"{day}T{matched[0]:0>8}")


def date_in_name(name: str, *, time: bool = True) -> str | None:
    """Return the first date in a file name, such as ``20240501T103619`` or ``20240501_103619``.

    Parameters
    ----------
    name : str
    time : bool
        Take the time that follows the day; without, its day only.
    """
    for matched in _DAY_IN_NAME.finditer(name):
        day = "-".join(matched.groups()[:3])
        clock = matched[4] if time else None
        found = utc(day if clock is None else f"{day}T{clock[:2]}:{clock[2:4]}:{clock[4:]}") or utc(day)
        if found is not None:
            return found
    return None


def date_attribute(*found: str | None) -> dict[str, str]:
    """Return the first date that is known as the attribute ``datetime`` of a scene; nothing without one."""
    date = next((each for each in found if each), None)
    return {} if date is None else {"datetime": date}
