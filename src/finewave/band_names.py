"""Colours and numbers in band names: ``blue``, ``Red Edge 1``, ``NIR``, ``B02``."""

from __future__ import annotations

import re

RANGES_NM = {
    "coastal": (390.0, 465.0),
    "blue": (420.0, 540.0),
    "green": (480.0, 625.0),
    "yellow": (560.0, 640.0),
    "red": (575.0, 725.0),
    "rededge": (680.0, 810.0),
    "nir": (720.0, 1400.0),
    "swir": (930.0, 2600.0),
}
"""Range of possible band centres for each colour, in nm; wide enough for cameras."""

_WORDS = (
    ("rededge", r"red edge|rededge"),
    ("coastal", r"coastal(?: blue| aerosol)?|ultra blue|ultrablue|deep blue|aerosols?"),
    ("swir", r"swir|short ?wave infra ?red"),
    ("thermal", r"tir|thermal(?: infra ?red)?"),
    ("nir", r"nir|near infra ?red|near ir|infra ?red"),
    ("pan", r"pan|panchromatic"),
    ("yellow", r"yellow"),
    ("blue", r"blue"),
    ("green", r"green"),
    ("red", r"red"),
)
_LETTERS = {"r": "red", "g": "green", "b": "blue", "n": "nir", "re": "rededge"}
_ROMAN = {"i": "1", "ii": "2", "iii": "3"}
_CODE = re.compile(r"(?:^|[^a-z0-9])(b(?:and)?[ _-]?\d{1,3}a?)$")


def colour_of(name: str | None) -> str | None:
    """Return the colour in a band's name, with its number if it has one.

    Parameters
    ----------
    name : str or None
        In any case, with or without separators: ``"Red Edge 1"``, ``"RedEdge1"``, ``"SR_blue"``, ``"b"``.

    Returns
    -------
    str or None
        For example ``"rededge1"``, ``"nir"``, ``"blue"``; None if the name has no colour or several.
    """
    if not name:
        return None
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)  # RedEdge
    text = " ".join(re.findall(r"[a-z]+|\d+(?:\.\d+)?", split.lower()))
    if text in _LETTERS:
        return _LETTERS[text]
    colours = []
    for colour, words in _WORDS:
        pattern = re.compile(rf"\b(?:{words})\b(?: (\d|i{{1,3}})(?![\d.]))?")
        for match in pattern.finditer(text):
            number = match[1] or ""
            colours.append(colour + _ROMAN.get(number, number))
        text = pattern.sub(" ", text)
    return colours[0] if len(set(colours)) == 1 else None


def base_of(colour: str) -> str:
    """Return a colour without its number."""
    return colour.rstrip("0123456789")


def code_of(name: str | None) -> str | None:
    """Return the band number at the end of a name, ``b2`` for ``"scene_B02"``; None if there is none."""
    match = _CODE.search((name or "").lower())
    if match is None:
        return None
    number = re.sub(r"^b(?:and)?[ _-]?0*", "", match[1])
    return f"b{number}"


def plain(name: str) -> str:
    """Return a name without case, separators and leading zeros, for comparison."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"[^a-z0-9]", "", name.lower()))


def is_possible(colour: str, wavelength: float) -> bool:
    """Return whether a band of this colour can be centred at this wavelength in nm."""
    low, high = RANGES_NM.get(base_of(colour), (0.0, float("inf")))
    return low <= wavelength <= high
