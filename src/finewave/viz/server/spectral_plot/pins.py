"""Pinned spectra of a page: places that stay plotted, each with a label and a colour of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from finewave.text.plain_text import one_line
from finewave.viz.server.spectral_plot.spectra import RegionOfInterest

PIN_COLOURS = (
    ("#00785a", "#2ed3a4"),
    ("#b5478e", "#f29ccf"),
    ("#8a6d00", "#e8c547"),
    ("#7a5195", "#c3a1f0"),
    ("#a3333d", "#ff9a9e"),
    ("#1f7a8c", "#6fd3e6"),
    ("#5b7f1d", "#b3d96b"),
    ("#6b4f3a", "#d1ab8a"),
)
"""On the light and on the dark theme, a pair for each slot; none is that of a result, input or reference."""
LONGEST_LABEL = 40
_FORMULA = "=+-@"  # with which a spreadsheet would begin to compute


@dataclass(frozen=True)
class Pin:
    """A pinned place.

    Attributes
    ----------
    region : RegionOfInterest
    slot : int
        Index into `PIN_COLOURS`; no two pins of a page have the same.
    label : str
        One line, at most `LONGEST_LABEL` characters.
    """

    region: RegionOfInterest
    slot: int
    label: str


def clean_label(text: str, slot: int) -> str:
    """Return a label for a slot: on one line, not a formula of a spreadsheet; a letter where nothing is left."""
    label = one_line(text).lstrip(_FORMULA + " ")[:LONGEST_LABEL].strip()
    return label or "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[slot]


def with_pin(pins: tuple[Pin, ...], region: RegionOfInterest) -> tuple[Pin, ...]:
    """Return pins with one more, in the first free slot; unchanged if there is none, or the place is pinned."""
    taken = {pin.slot for pin in pins}
    free = [slot for slot in range(len(PIN_COLOURS)) if slot not in taken]
    if not free or region in {pin.region for pin in pins}:
        return pins
    return (*pins, Pin(region, free[0], clean_label("", free[0])))


def pins_to_text(pins: Iterable[Pin]) -> str:
    """Return pins as text for an address."""
    return ";".join(
        f"{pin.region.x0},{pin.region.y0},{pin.region.x1},{pin.region.y1},{pin.slot},{quote(pin.label, safe='')}"
        for pin in pins
    )


def pins_from_text(text: str, width: int, height: int) -> tuple[Pin, ...]:
    """Return the pins that an address names; those that are invalid or outside of the image are left out."""
    pins: dict[int, Pin] = {}
    for part in text.split(";")[: len(PIN_COLOURS)]:
        fields = part.split(",")
        if len(fields) != 6 or not all(each.isascii() and each.isdigit() and len(each) < 9 for each in fields[:5]):
            continue
        x0, y0, x1, y1, slot = (int(each) for each in fields[:5])
        region = RegionOfInterest(x0, x1, y0, y1).within(width, height)
        known = {pin.region for pin in pins.values()}
        if region is not None and slot < len(PIN_COLOURS) and slot not in pins and region not in known:
            pins[slot] = Pin(region, slot, clean_label(unquote(fields[5]), slot))
    return tuple(pins.values())
