"""Colours of photographs that are not sRGB by other means than a colour profile: chunks of PNG, ``nclx`` of HEIF."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from pathlib import Path

from finewave.io.file_errors import reading
from finewave.warnings import FinewaveWarning

# Code points of ITU-T H.273: primaries of BT.709, which sRGB shares; transfer functions of sRGB and its like.
_PRIMARIES, _TRANSFERS = (1, 2), (1, 2, 6, 13, 14, 15)
_GAMMA_OF_SRGB = 0.45455
_CHROMATICITIES = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_HEAD = 2**16
"""Bytes at the beginning of a HEIF file in which its properties are searched."""


def warn_of_other_colours(path: Path) -> None:
    """Warn of a photograph without a colour profile whose other metadata say that it is not sRGB.

    Parameters
    ----------
    path : pathlib.Path
        PNG (chunks ``cICP``, ``gAMA``, ``cHRM``), HEIC or AVIF (property ``nclx``); others have no such metadata.

    Warns
    -----
    FinewaveWarning
        Other primaries or another curve.
    """
    with reading(path, "image"):
        why = _why_not_srgb(path)
    if why:
        warnings.warn(
            f"{path}: {why}, but it was taken as sRGB; convert it to sRGB to be sure", FinewaveWarning, stacklevel=5
        )


def _why_not_srgb(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith(b"\x89PNG"):
        return _by_chunks(dict(_chunks(path)))
    if head[4:8] == b"ftyp":
        start = head.find(b"colrnclx") + 8
        return _by_code_points(*struct.unpack(">HH", head[start : start + 4])) if 8 <= start <= len(head) - 4 else ""
    return ""


def _by_chunks(chunks: dict[bytes, bytes]) -> str:
    if len(chunks.get(b"cICP", b"")) == 4:
        return _by_code_points(*chunks[b"cICP"][:2])
    if b"sRGB" in chunks:
        return ""
    gamma = struct.unpack(">I", chunks[b"gAMA"])[0] / 1e5 if len(chunks.get(b"gAMA", b"")) == 4 else _GAMMA_OF_SRGB
    if gamma > 0 and abs(gamma - _GAMMA_OF_SRGB) > 0.03:
        return f"its values are encoded with a gamma of {gamma:g} (chunk gAMA)"
    if len(chunks.get(b"cHRM", b"")) == 32:
        points = [each / 1e5 for each in struct.unpack(">8I", chunks[b"cHRM"])]
        if max(abs(a - b) for a, b in zip(points, _CHROMATICITIES, strict=True)) > 0.01:
            return "it has other primaries than sRGB (chunk cHRM)"
    return ""


def _by_code_points(primaries: int, transfer: int) -> str:
    if primaries in _PRIMARIES and transfer in _TRANSFERS:
        return ""
    return f"it has the colour space {primaries}/{transfer} of ITU-T H.273"


def _chunks(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks of a PNG before its pixels."""
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            if name in (b"IDAT", b"IEND") or length > _HEAD:
                return
            yield name, file.read(length)
            file.seek(4, 1)
