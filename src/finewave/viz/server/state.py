"""State of a page as the query of its address, so that links restore the view."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from finewave.physics.rendering.display import RANGES
from finewave.physics.rendering.renderings import RENDERINGS, TRIPLES
from finewave.viz.maps import offered_maps
from finewave.viz.scene_pair import ScenePair
from finewave.viz.server.spectral_plot.pins import Pin, pins_from_text, pins_to_text
from finewave.viz.server.spectral_plot.spectra import RegionOfInterest

MODES = (*RENDERINGS, "three", "band")


@dataclass(frozen=True)
class State:
    """The view of one page.

    Attributes
    ----------
    left, right : str
        Roles of the images on both sides of the swipe.
    swipe : float
        Position of the swipe, 0 (left edge) to 1.
    mode : str
        A rendering by name, ``"three"`` bands, or the one ``"band"``.
    red, green, blue, band : float
        Positions on the result's axis: nm, or numbers of bands.
    stretch : str
    map : str
    at : tuple of float
        Centre x and y of the frame and its width, in pixels of the result.
    pick : RegionOfInterest or None
        Selected region, whose spectra are plotted.
    theme : {"auto", "light", "dark"}
    pins : tuple of Pin
        Places whose spectra stay plotted.
    """

    left: str
    right: str
    swipe: float
    mode: str
    red: float
    green: float
    blue: float
    band: float
    stretch: str
    map: str
    at: tuple[float, float, float]
    pick: RegionOfInterest | None
    theme: str = "auto"
    pins: tuple[Pin, ...] = ()

    def to_query(self) -> str:
        """Return the state as the query of an address."""
        fields = {
            "left": self.left,
            "right": self.right,
            "swipe": _number(self.swipe),
            "mode": self.mode,
            "rgb": ",".join(_number(each) for each in (self.red, self.green, self.blue)),
            "band": _number(self.band),
            "stretch": self.stretch,
            "map": self.map,
            "at": ",".join(_number(each) for each in self.at),
            "theme": self.theme,
        }
        if self.pick is not None:
            fields["pick"] = f"{self.pick.x0},{self.pick.y0},{self.pick.x1},{self.pick.y1}"
        if self.pins:
            fields["pins"] = pins_to_text(self.pins)
        return urlencode(fields, safe=",;")


def usual_state(view: ScenePair) -> State:
    """Return the initial state: the whole result, swiped against the reference or the input."""
    result = view.result
    first = result.default_rendering
    if result.wavelengths is not None and first.name == "true":
        red, green, blue = TRIPLES["natural"][1]
    elif result.wavelengths is not None and first.centres is not None and len(first.centres) == 3:
        red, green, blue = first.centres
    else:
        red, green, blue = (float(result.axis[i]) for i in (*first.bands, *first.bands, *first.bands)[:3])
    other = next((role for role in ("input", "reference") if role in view.layers), "result")
    width, height = result.pyramid.width, result.pyramid.height
    return State(
        left=other,
        right="result",
        swipe=0.5,
        mode={"bands": "three"}.get(first.name, first.name),
        red=red,
        green=green,
        blue=blue,
        band=float(result.axis[result.nearest(550.0) if result.wavelengths is not None else 0]),
        stretch="auto",
        map="error" if view.reference is not None else "band",
        at=(width / 2, height / 2, 0.0),
        pick=None,
    )


def state_from_query(query: Mapping[str, str], view: ScenePair) -> State:
    """Return the state given by an address; invalid values are replaced by defaults.

    Parameters
    ----------
    query : mapping of str to str
        As written by `State.to_query`; entries may be missing or invalid.
    view : ScenePair

    Returns
    -------
    State
    """
    state = usual_state(view)
    choices = {
        "left": view.layers,
        "right": view.layers,
        "mode": MODES,
        "stretch": RANGES,
        "map": offered_maps(view),
        "theme": ("auto", "light", "dark"),
    }
    selected = {name: query[name] for name, accepted in choices.items() if query.get(name) in accepted}
    state = replace(state, **selected)  # type: ignore[arg-type]  # all of these are texts
    swipe = _numbers(query.get("swipe"), 1)
    if swipe:
        state = replace(state, swipe=min(1.0, max(0.0, swipe[0])))
    rgb, band, at = _numbers(query.get("rgb"), 3), _numbers(query.get("band"), 1), _numbers(query.get("at"), 3)
    if rgb:
        state = replace(state, red=rgb[0], green=rgb[1], blue=rgb[2])
    if band:
        state = replace(state, band=float(view.result.axis[view.result.nearest(band[0])]))
    if at and at[2] > 0:
        state = replace(state, at=(at[0], at[1], at[2]))
    pick = _numbers(query.get("pick"), 4)
    if pick:
        x0, y0, x1, y1 = (int(each) for each in pick)
        pyramid = view.result.pyramid
        state = replace(state, pick=RegionOfInterest(x0, x1, y0, y1).within(pyramid.width, pyramid.height))
    height, width = view.size
    return replace(state, pins=pins_from_text(query.get("pins", ""), width, height))


def _number(value: float) -> str:
    return f"{round(value, 4):g}" if abs(value) < 1e5 else f"{value:.1f}"


def _numbers(text: str | None, count: int) -> list[float] | None:
    try:
        values = [float(part) for part in (text or "").split(",")]
    except ValueError:
        return None
    # larger values are outside of any image and not valid indices
    return values if len(values) == count and all(math.isfinite(v) and abs(v) < 1e9 for v in values) else None
