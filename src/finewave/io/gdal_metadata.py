"""Metadata of GDAL, whose reader takes time with the square of their number."""

from __future__ import annotations

import re
import struct
from collections import Counter
from pathlib import Path

from finewave.errors import InputError

MOST_ITEMS = 20_000
"""In one list: half a second for GDAL, and far more than any product has."""
_SMALL_BYTES = 2**19
_GDAL_METADATA = 42112
_ITEM = re.compile(rb"<Item\b(?:[^>]*?\bsample=[\"'](\d+))?")


def check_metadata(path: Path) -> None:
    """Raise an error for a TIFF, or the file ``.aux.xml`` beside an image, that has too many items of metadata.

    Parameters
    ----------
    path : pathlib.Path
        Any file.

    Raises
    ------
    InputError
        One list has more than `MOST_ITEMS`.
    """
    most = 0
    try:
        text = _metadata_of_tiff(path)
        if len(text) > _SMALL_BYTES:
            most = max(Counter(_ITEM.findall(text)).values(), default=0)
        beside = path.with_name(f"{path.name}.aux.xml")
        if beside.is_file() and beside.stat().st_size > _SMALL_BYTES:
            most = max(most, *(part.count(b"<MDI") for part in beside.read_bytes().split(b"</Metadata>")))
    except (OSError, struct.error):
        return  # left to the reader
    if most > MOST_ITEMS:
        raise InputError(f"cannot read {path}: it has {most} items of metadata, more than {MOST_ITEMS}")


def _metadata_of_tiff(path: Path) -> bytes:
    """Return the text of the first directory's tag of GDAL's metadata, b"" if there is none."""
    with path.open("rb") as file:
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        if order is None or len(head) < 16:
            return b""
        big = struct.unpack_from(f"{order}H", head, 2)[0] == 43
        word, count_form, width = ("Q", "Q", 20) if big else ("I", "H", 12)
        file.seek(struct.unpack_from(order + word, head, 8 if big else 4)[0])
        (count,) = struct.unpack(order + count_form, file.read(8 if big else 2))
        entries = file.read(width * min(count, 2**16))
        for start in range(0, len(entries) - width + 1, width):
            tag, _, length = struct.unpack_from(f"{order}HH{word}", entries, start)
            if tag == _GDAL_METADATA and length > _SMALL_BYTES:
                file.seek(struct.unpack_from(order + word, entries, start + width - (8 if big else 4))[0])
                return file.read(min(length, 2**28))
    return b""
