"""One page of the viewer: a Bokeh document that reacts to its controls."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from finewave.allocator import release_freed_memory
from finewave.physics.display import RANGES
from finewave.viz.maps import MAPS, NEEDS_REFERENCE, colour_limit, make_map
from finewave.viz.server import plots
from finewave.viz.server.latest_only_worker import LatestOnlyWorker
from finewave.viz.server.pictures import Painter, Picture
from finewave.viz.server.scores import ROWS, scores
from finewave.viz.server.spectra import Region, Spectrum, Superseded, spectrum
from finewave.viz.server.state import MODES, State
from finewave.viz.windows import Frame

if TYPE_CHECKING:
    from bokeh.document import Document

    from finewave.viz.scene_pair import ScenePair

_PICTURE = frozenset({"left", "right", "mode", "red", "green", "blue", "stretch"})
_SMALLEST_SIDE = 11  # of a region with metrics: the window of SSIM


class ViewerSession:
    """Fill a document with the view in a state, and keep it up to date.

    Parameters
    ----------
    document : bokeh.document.Document
    view : ScenePair
    state : State
    facts : dict
        Further variables of the template.
    ended : callable
        Called with the page when its tab was closed.
    """

    def __init__(
        self,
        document: Document,
        view: ScenePair,
        state: State,
        facts: dict[str, Any],
        ended: Callable[[ViewerSession], None] = lambda page: None,
    ) -> None:
        from bokeh.models import ColumnDataSource, Range1d

        from finewave.viz.server.settings import Settings

        self.document, self.view, self.state = document, view, state
        self.painter = Painter(view)
        self.workers = {
            name: LatestOnlyWorker(self._failed) for name in ("picture", "behind", "map", "spectra", "scores")
        }
        self._limits: dict[tuple[str, float], tuple[float, float]] = {}
        self._closed = self._planned = self._seen = False
        self._mapped: Frame | None = None
        self._ended = ended
        self._whole_scores: dict[str, str] | None = None
        self._scored = False
        self._sizes: dict[str, dict[str, int]] = {}
        # type checkers do not understand Bokeh's property descriptors
        self.settings: Any = Settings(name="settings", **{name: getattr(state, name) for name in _controls()})

        self.ranges: tuple[Any, Any] = Range1d(start=0, end=1), Range1d(start=1, end=0)
        # they follow those of the picture in the browser; the server has no need of them
        map_ranges = Range1d(start=0, end=1, syncable=False), Range1d(start=1, end=0, syncable=False)
        self.picks: Any = ColumnDataSource(data=plots.pick_data(None))
        self.behind = {side: plots.picture_source() for side in ("left", "right")}
        self.front = {side: plots.picture_source(f"front-{side}") for side in ("left", "right")}
        self.pictures = {
            side: plots.make_picture(side, self.ranges, self.picks, self.behind[side], self.front[side])
            for side in ("left", "right")
        }
        self.map_source = plots.picture_source()
        self.map, self.mapper, self.bar = plots.make_map("map", map_ranges, self.picks, self.map_source)
        self.lines: dict[str, Any] = {
            role: ColumnDataSource(name=f"spectrum-{role}", data=_no_line()) for role in view.layers
        }
        measured = view.result.wavelengths is not None
        self.spectra, self.drawn, self.marks, self.band_mark = plots.make_spectra(
            {role: line for role, line in self.lines.items() if _is_plotted(view, role)}, _axis_ends(view), measured
        )
        plots.apply_theme(self.spectra, self.drawn, self.band_mark, self.bar, state.theme == "dark")

        self._listen()
        for root in (*self.pictures.values(), self.map, self.spectra):
            document.add_root(root)
        document.template = _template()
        document.template_variables.update(_facts(view), **facts)
        document.title = f"{view.result.title} · finewave"
        self._mark_bands()
        self._pick(state.pick)

    def _listen(self) -> None:
        from bokeh.events import SelectionGeometry, Tap

        for name in (*_controls(), "dark", "fit"):
            self.settings.on_change(name, self._changed)
        # each side of the swipe is clipped, also for mouse events: both need handlers
        for plot in (*self.pictures.values(), self.map):
            plot.on_event(Tap, lambda event: self._tapped(event.x, event.y))
            plot.on_event(SelectionGeometry, self._dragged)
        for name, plot, follow in (
            ("picture", self.pictures["left"], self._resized),
            ("map", self.map, self._draw_map),
        ):
            for side in ("inner_width", "inner_height"):
                plot.on_change(side, self._sizes_of(name, follow))
        for axis in self.ranges:
            for end in ("start", "end"):
                axis.on_change(end, lambda attr, old, new: self._plan())
        # Bokeh synchronises only models referenced by a root: the settings are attached to a plot
        self.pictures["left"].tags = [self.settings]
        self.document.on_session_destroyed(lambda context: self._forget())

    # User input

    def _changed(self, name: str, old: Any, new: Any) -> None:
        if name == "fit":
            self.state = replace(self.state, at=self._whole())
            self._resized()
            return
        if name == "dark":
            plots.apply_theme(self.spectra, self.drawn, self.band_mark, self.bar, bool(new))
            return
        if not _accepts(self.view, name, new):
            return
        self.state = replace(self.state, **{name: new})
        if name == "band" and self.state.mode != "band" and self.state.map not in ("band", "error-band"):
            # moving the band slider selects the band rendering
            self.settings.mode = "band"
        if name in _PICTURE or (name == "band" and self.state.mode == "band"):
            self._paint_behind()
            self._paint()
        if name == "map" or (name == "band" and self.state.map in ("band", "error-band")):
            self._draw_map()
        if name in ("mode", "band", "red", "green", "blue"):
            self._mark_bands()
        self._say_query()

    def _tapped(self, x: float, y: float) -> None:
        column, row = math.floor(x), math.floor(y)
        self._pick(Region(column, column + 1, row, row + 1))

    def _dragged(self, event: Any) -> None:
        box = event.geometry
        if not event.final or box.get("type") != "rect":
            return
        xs, ys = sorted((box["x0"], box["x1"])), sorted((box["y0"], box["y1"]))
        self._pick(Region(math.floor(xs[0]), math.ceil(xs[1]), math.floor(ys[0]), math.ceil(ys[1])))

    def _pick(self, region: Region | None) -> None:
        pyramid = self.view.result.pyramid
        region = region.within(pyramid.width, pyramid.height) if region is not None else None
        self.state = replace(self.state, pick=region)
        self.picks.data = plots.pick_data(region)
        if region is None:
            self.workers["spectra"].submit(lambda: None)
            self._show_spectra(dict.fromkeys(self.lines))
            self.settings.picked = ""
        else:
            self.settings.picked = self._words(region)
            worker = self.workers["spectra"]
            worker.submit(lambda: self._read_spectra(region, lambda: worker.superseded))
        self._score(region)
        self._say_query()

    def _words(self, region: Region) -> str:
        wide, tall = region.x1 - region.x0, region.y1 - region.y0
        if wide == tall == 1:
            return f"pixel {region.x0}, {region.y0}"
        return f"{wide} × {tall} pixels at {region.x0}, {region.y0}: mean ± SD"

    # The frame

    def _sizes_of(self, name: str, follow: Callable[[], None]) -> Callable[[str, Any, Any], None]:
        """Return a callback that stores the size of a plot in the browser."""

        def note(attr: str, old: Any, new: Any) -> None:
            self._sizes.setdefault(name, {})[attr] = int(new)
            follow()

        return note

    def _size(self, name: str) -> tuple[int, int] | None:
        """Return width and height of a plot in pixels of the screen; None before layout."""
        sizes = self._sizes.get(name, {})
        wide, tall = sizes.get("inner_width", 0), sizes.get("inner_height", 0)
        return (wide, tall) if wide > 0 and tall > 0 else None

    def _whole(self) -> tuple[float, float, float]:
        pyramid = self.view.result.pyramid
        return pyramid.width / 2, pyramid.height / 2, 0.0

    def _resized(self) -> None:
        """Show the state's region in the picture's size in the browser."""
        size = self._size("picture")
        if size is None:
            return
        wide, tall = size
        x, y, width = self.state.at
        if width <= 0:
            pyramid = self.view.result.pyramid
            width = max(pyramid.width, pyramid.height * wide / tall) * 1.02
        height = width * tall / wide
        self.ranges[0].update(start=x - width / 2, end=x + width / 2)
        self.ranges[1].update(start=y + height / 2, end=y - height / 2)
        self._plan()

    def _plan(self) -> None:
        """Paint in the next tick, as a range change arrives as four events."""
        if not self._planned:
            self._planned = True
            self.document.add_next_tick_callback(self._moved)

    def _moved(self) -> None:
        self._planned = False
        frame = self._frame()
        if frame is None:
            return
        if not self.behind["right"].data["image"]:
            self._paint_behind()
        x, y = (frame.x0 + frame.x1) / 2, (frame.y0 + frame.y1) / 2
        self.state = replace(self.state, at=(x, y, frame.x1 - frame.x0))
        self._paint()
        self._say_query()

    def _frame(self, name: str = "picture") -> Frame | None:
        """Return the frame of the picture, or of the map, which has the same centre and width."""
        size = self._size(name)
        if size is None:
            return None
        wide, tall = size
        x0, x1 = (float(end) for end in (self.ranges[0].start, self.ranges[0].end))
        y = (float(self.ranges[1].start) + float(self.ranges[1].end)) / 2
        half = (x1 - x0) * tall / wide / 2
        if not (math.isfinite(half) and half > 0):
            return None
        return Frame(x0, x1, y - half, y + half, wide, tall)

    # Output

    def _paint(self) -> None:
        frame = self._frame()
        if frame is not None:
            state = self.state
            self.workers["picture"].submit(lambda: self._paint_frame(state, frame))

    def _paint_frame(self, state: State, frame: Frame) -> None:
        painted: dict[str, Picture | None] = {}
        for role in {state.left, state.right}:
            painted[role] = self.painter.paint(role, state, frame)

        def show() -> None:
            for side, role in _sides(state):
                self.front[side].data = _picture_data(painted.get(role), frame)
            result = painted.get("result")
            step = 1 if result is None else 1 << result.window.level
            if frame != self._mapped:
                self._mapped = frame
                self._draw_map()  # after the picture, which has priority
            if not self._seen:
                self._seen = True
                self._score(state.pick)
            self.settings.resolution = "full resolution" if step == 1 else f"{step} × {step} pixels averaged"

        self._soon(show)

    def _paint_behind(self) -> None:
        state = self.state

        def paint() -> None:
            painted = {role: self.painter.overview(role, state) for role in {state.left, state.right}}

            def show() -> None:
                for side, role in _sides(state):
                    self.behind[side].data = _picture_data(painted.get(role), None)

            self._soon(show)

        self.workers["behind"].submit(paint)

    def _draw_map(self) -> None:
        frame = self._frame("map")
        if frame is None:
            return
        kind, band = self.state.map, self.state.band

        def draw() -> None:
            made = make_map(self.view, kind, band, frame)
            key = (kind, band if kind in ("band", "error-band") else 0.0)
            if key not in self._limits:
                self._limits[key] = colour_limit(self.view, kind, band)
            low, high = self._limits[key]

            def show() -> None:
                self.mapper.update(low=low, high=high)
                if made is None:
                    self.map_source.data = plots.no_picture()
                    return
                window = made.window
                self.map_source.data = {
                    **_place(window.x0, window.x1, window.y0, window.y1),
                    "image": [made.values],
                    "frame": [[frame.x0, frame.x1]],
                }
                averaged = f", of pixels averaged {made.averaged} × {made.averaged}" if made.averaged > 1 else ""
                about = self._band_name(band) if kind in ("band", "error-band") else ""
                self.settings.map_note = f"{about}{averaged}".removeprefix(", ")

            self._soon(show)

        self.workers["map"].submit(draw)

    def _band_name(self, band: float) -> str:
        return f"{band:g} nm" if self.view.result.wavelengths is not None else f"band {band:g}"

    def _read_spectra(self, region: Region, superseded: Callable[[], bool]) -> None:
        try:
            spectra = {role: spectrum(layer, region, superseded) for role, layer in self.view.layers.items()}
        except Superseded:
            return
        self._soon(lambda: self._show_spectra(spectra))

    def _show_spectra(self, spectra: dict[str, Spectrum | None]) -> None:
        for role, line in self.lines.items():
            one = spectra[role]
            if one is None or not _is_plotted(self.view, role):
                line.data = _no_line()
            else:
                line.data = {
                    "axis": one.axis,
                    "mean": one.mean,
                    "spread": one.spread,
                    "low": one.mean - one.spread,
                    "high": one.mean + one.spread,
                }

        drawn = np.concatenate([np.append(line.data["low"], line.data["high"]) for line in self.lines.values()])
        drawn = drawn[np.isfinite(drawn)]
        if drawn.size:
            low, high = min(0.0, float(drawn.min())), float(drawn.max())
            # space for the legend above
            self.spectra.y_range.update(start=low, end=low + 1.18 * ((high - low) or 1.0))

    def _mark_bands(self) -> None:
        marked: tuple[float | None, ...] = self.painter.marked(self.state) or (None,) * 3
        for mark, position in zip(self.marks, marked, strict=True):
            mark.visible = position is not None
            mark.location = position
        self.band_mark.location = self.state.band
        self.band_mark.visible = "band" in (self.state.mode, self.state.map) or self.state.map == "error-band"

    def _score(self, region: Region | None) -> None:
        # metrics load PyTorch, which would delay the first picture
        if self.view.reference is None or not self._seen:
            return

        def score() -> None:
            from finewave.metrics import METRICS

            if not self._scored:
                self._whole_scores, self._scored = scores(self.view), True
            part = None
            if region is not None and min(region.x1 - region.x0, region.y1 - region.y0) >= _SMALLEST_SIDE:
                part = scores(self.view, region)
            rows = [
                [
                    METRICS[name].heading,
                    *("–" if column is None else column[name] for column in (self._whole_scores, part)),
                ]
                for name in ROWS
            ]
            self._soon(lambda: setattr(self.settings, "scores", json.dumps(rows)))

        self.workers["scores"].submit(score)

    # Threads and the end

    def _say_query(self) -> None:
        self.settings.query = self.state.to_query()

    def _soon(self, show: Callable[[], None]) -> None:
        """Schedule a change of the document from a thread, unless it is closed."""
        if not self._closed:
            self.document.add_next_tick_callback(show)

    def _failed(self, error: Exception) -> None:
        text = " ".join(str(error).split()) or type(error).__name__
        self._soon(lambda: setattr(self.settings, "trouble", text))

    def _forget(self) -> None:
        self.end(0.0)
        self._ended(self)
        release_freed_memory()

    def end(self, seconds: float) -> bool:
        """Stop all work; return whether that took no longer."""
        self._closed = True
        for worker in self.workers.values():
            worker.end()
        return all(worker.join(seconds) for worker in self.workers.values())


def _controls() -> tuple[str, ...]:
    """Return the fields common to a state and the settings."""
    return "left", "right", "swipe", "mode", "red", "green", "blue", "band", "stretch", "map", "theme"


def _accepts(view: ScenePair, name: str, value: Any) -> bool:
    """Return whether a control's value is valid: the browser is not trusted."""
    if isinstance(value, float | int):
        return math.isfinite(value)
    return value in {
        "left": list(view.layers),
        "right": list(view.layers),
        "mode": MODES,
        "stretch": RANGES,
        "map": [kind for kind in MAPS if kind not in NEEDS_REFERENCE or view.reference is not None],
        "theme": ("auto", "light", "dark"),
    }.get(name, ())


def _sides(state: State) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the roles on both sides; if they are equal, the right one covers all, and the left one is empty."""
    return ("left", "" if state.left == state.right else state.left), ("right", state.right)


def _picture_data(picture: Picture | None, frame: Frame | None) -> dict[str, list[Any]]:
    if picture is None:
        return plots.no_picture()
    window = picture.window
    shown = [0.0, 0.0] if frame is None else [frame.x0, frame.x1]
    return {**_place(window.x0, window.x1, window.y0, window.y1), "image": [picture.pixels], "frame": [shown]}


def _place(x0: float, x1: float, y0: float, y1: float) -> dict[str, list[float]]:
    return {"x": [x0], "y": [y0], "dw": [x1 - x0], "dh": [y1 - y0]}


def _axis_ends(view: ScenePair) -> tuple[float, float]:
    """Return the range of the axis of the spectra."""
    shown = [layer.axis for role, layer in view.layers.items() if _is_plotted(view, role)]
    return float(min(axis.min() for axis in shown)), float(max(axis.max() for axis in shown))


def _is_plotted(view: ScenePair, role: str) -> bool:
    """Return whether an image has spectra: bands without wavelengths are not mixed with those that have them."""
    return view.result.wavelengths is None or view.layers[role].wavelengths is not None


def _no_line() -> dict[str, Any]:
    return {name: np.empty(0) for name in ("axis", "mean", "spread", "low", "high")}


def _facts(view: ScenePair) -> dict[str, Any]:
    """Return the template's variables for a view."""
    result = view.result
    order = np.argsort(result.axis, kind="stable")
    axis = [float(result.axis[i]) for i in order]
    measured = result.wavelengths is not None
    modes = {
        name: shown.label.partition(" (")[0]
        for name, shown in result.renderings.items()
        if name not in ("bands", "band")
    }
    shown = {name: _shown(view, name) for name in (*modes, "three", "band")}
    if result.pyramid.bands > 1:
        modes["three"] = "Three bands"
    modes["band"] = "One band"
    about = f"{result.pyramid.width} × {result.pyramid.height} pixels, {result.pyramid.bands} bands"
    if measured:
        about += f", {min(axis):g}–{max(axis):g} nm"
    kinds = {kind: title for kind, title in MAPS.items() if kind not in NEEDS_REFERENCE or view.reference is not None}
    return {
        "layers": {role: f"{role.capitalize()}" for role in view.layers},
        "titles": {role: layer.title for role, layer in view.layers.items()},
        "about": about,
        "modes": modes,
        "shown": shown,
        "stretches": RANGES,
        "maps": kinds,
        "axis": axis,
        "unit": "nm" if measured else "",
        "has_reference": view.reference is not None,
    }


def _shown(view: ScenePair, mode: str) -> str:
    """Return a description of the rendering, and of images with another one."""
    lines, result = [], view.result
    label = result.renderings[mode].label if mode in result.renderings else ""
    if label:
        lines.append(label)
    elif result.wavelengths is None:
        lines.append("The file has no wavelengths: bands are identified by their numbers.")
    for role, layer in view.layers.items():
        other = layer.renderings.get(mode, layer.default_rendering).label
        if role != "result" and (other != label if label else not _is_plotted(view, role)):
            lines.append(f"{role.capitalize()}: {other}")
    return " · ".join(lines)


@lru_cache(maxsize=1)
def _template() -> Any:
    from jinja2 import Template

    return Template((files("finewave.viz.server") / "static" / "page.html").read_text(encoding="utf-8"))
