"""One page of the viewer: a Bokeh document that reacts to its controls."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finewave.physics.rendering.display import RANGES
from finewave.process.allocator import release_freed_memory
from finewave.text.plain_text import one_line
from finewave.viz.map_position import map_position
from finewave.viz.maps import OF_ONE_BAND, colour_limit, make_map, offered_maps
from finewave.viz.server.commands import Command, command_of
from finewave.viz.server.latest_only_worker import LatestOnlyWorker
from finewave.viz.server.picture_file import picture_png
from finewave.viz.server.pictures import Painter, Picture
from finewave.viz.server.spectral_plot import plots
from finewave.viz.server.spectral_plot.library import Library
from finewave.viz.server.spectral_plot.pins import clean_label, with_pin
from finewave.viz.server.spectral_plot.scores import ROWS, scores
from finewave.viz.server.spectral_plot.spectra import RegionOfInterest
from finewave.viz.server.spectral_plot.spectra_panel import SpectraPanel, is_plotted
from finewave.viz.server.spectral_plot.spectra_table import spectra_csv
from finewave.viz.server.start_page import template
from finewave.viz.server.state import MODES, State
from finewave.viz.server.transfer.downloads import Downloads
from finewave.viz.windows import Frame

if TYPE_CHECKING:
    from bokeh.document import Document

    from finewave.viz.scene_pair import ScenePair

_PICTURE = frozenset({"left", "right", "mode", "red", "green", "blue", "stretch"})
_NARROW = 360  # pixels of the screen in which the legend has no room on one line
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
    downloads : Downloads
        Where files go that the page makes to be saved.
    library : Library, optional
        Spectra to compare with.
    ended : callable
        Called with the page when its tab was closed.
    """

    def __init__(
        self,
        document: Document,
        view: ScenePair,
        state: State,
        facts: dict[str, Any],
        downloads: Downloads,
        library: Library | None = None,
        ended: Callable[[ViewerSession], None] = lambda page: None,
    ) -> None:
        from bokeh.models import ColumnDataSource, Range1d

        from finewave.viz.server.settings import Settings

        self.document, self.view, self.state = document, view, state
        self.painter = Painter(view)
        self.workers = {name: LatestOnlyWorker(self._failed) for name in ("picture", "behind", "map", "scores", "save")}
        self.position, self.downloads = map_position(view.result.scene), downloads
        self._limits: dict[tuple[str, float], tuple[float, float]] = {}
        self._closed = self._planned = self._seen = False
        self._mapped: Frame | None = None
        self._ended = ended
        self._whole_scores: dict[str, str] | None = None
        self._scored = False
        self._sizes: dict[str, dict[str, int]] = {}
        # type checkers do not understand Bokeh's property descriptors
        self.settings: Any = Settings(
            name="settings",
            loading=f"Reading {view.result.title} …",
            **{name: getattr(state, name) for name in _controls()},
        )
        self.panel = SpectraPanel(view, library, self.settings, self._soon, self._failed)

        self.ranges: tuple[Any, Any] = Range1d(start=0, end=1), Range1d(start=1, end=0)
        # they follow those of the picture in the browser; the server has no need of them
        map_ranges = Range1d(start=0, end=1, syncable=False), Range1d(start=1, end=0, syncable=False)
        self.picks: Any = ColumnDataSource(data=plots.pick_data(None))
        self.behind = {side: plots.picture_source() for side in ("left", "right")}
        self.front = {side: plots.picture_source(f"front-{side}") for side in ("left", "right")}
        self.pictures = {
            side: plots.make_picture(
                side, self.ranges, self.picks, self.panel.marks, self.behind[side], self.front[side]
            )
            for side in ("left", "right")
        }
        self.map_source = plots.picture_source()
        self.map, self.mapper, self.bar = plots.make_map("map", map_ranges, self.picks, self.map_source)
        self._apply_theme(state.theme == "dark")

        self._listen()
        for root in (*self.pictures.values(), self.map, self.panel.plot):
            document.add_root(root)
        document.template = template("page.html")
        map_facts = None if self.position is None else self.position.facts()
        document.template_variables.update(_facts(view, state), map_facts=map_facts, **facts)
        document.title = f"{view.result.title} · finewave"
        self._mark_bands()
        self._pick(state.pick)
        self.panel.show_pins(state.pins)

    def use_library(self, library: Library, entries: Sequence[int]) -> None:
        """Compare with another library, and plot some of its spectra."""
        self._soon(lambda: self.panel.use_library(library, entries))

    def _listen(self) -> None:
        from bokeh.events import SelectionGeometry, Tap

        for name in (*_controls(), "dark", "fit"):
            self.settings.on_change(name, self._changed)
        self.settings.on_change("command", lambda attr, old, new: self._do(command_of(new)))
        # each side of the swipe is clipped, also for mouse events: both need handlers
        for plot in (*self.pictures.values(), self.map):
            plot.on_event(Tap, lambda event: self._tapped(event.x, event.y))
            plot.on_event(SelectionGeometry, self._dragged)
        for name, plot, follow in (
            ("picture", self.pictures["left"], self._resized),
            ("map", self.map, self._draw_map),
            ("spectra", self.panel.plot, self._fit_legend),
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
            self._apply_theme(bool(new))
            return
        if not _accepts(self.view, name, new):
            return
        self.state = replace(self.state, **{name: new})
        if name == "band" and self.state.mode != "band" and self.state.map not in OF_ONE_BAND:
            # moving the band slider selects the band rendering
            self.settings.mode = "band"
        if name in _PICTURE or (name == "band" and self.state.mode == "band"):
            self._paint_behind()
            self._paint()
        if name == "map" or (name == "band" and self.state.map in OF_ONE_BAND):
            self._draw_map()
        if name in ("mode", "band", "red", "green", "blue"):
            self._mark_bands()
        self._say_query()

    def _tapped(self, x: float, y: float) -> None:
        column, row = math.floor(x), math.floor(y)
        self._pick(RegionOfInterest(column, column + 1, row, row + 1))

    def _dragged(self, event: Any) -> None:
        box = event.geometry
        if not event.final or box.get("type") != "rect":
            return
        xs, ys = sorted((box["x0"], box["x1"])), sorted((box["y0"], box["y1"]))
        self._pick(RegionOfInterest(math.floor(xs[0]), math.ceil(xs[1]), math.floor(ys[0]), math.ceil(ys[1])))

    def _pick(self, region: RegionOfInterest | None) -> None:
        pyramid = self.view.result.pyramid
        region = region.within(pyramid.width, pyramid.height) if region is not None else None
        self.state = replace(self.state, pick=region)
        self.picks.data = plots.pick_data(region)
        self.panel.show_region(region)
        self.settings.picked = "" if region is None else self._words(region)
        self._score(region)
        self._say_query()

    def _words(self, region: RegionOfInterest) -> str:
        wide, tall = region.x1 - region.x0, region.y1 - region.y0
        if wide == tall == 1:
            return f"pixel {region.x0}, {region.y0}"
        return f"{wide} × {tall} pixels at {region.x0}, {region.y0}: mean ± SD"

    def _fit_legend(self) -> None:
        size = self._size("spectra")
        if size is not None:
            self.panel.plot.legend[0].ncols = 2 if size[0] < _NARROW else "auto"

    def _apply_theme(self, dark: bool) -> None:
        panel = self.panel
        plots.apply_theme(panel.plot, panel.glyphs, panel.band_mark, self.bar, dark)
        panel.apply_theme(dark)

    def _do(self, command: Command | None) -> None:
        """Do what the user has asked for; what cannot be is ignored: the browser is not trusted."""
        if command is None:
            return
        pins = self.state.pins
        if command.do == "pick":
            self._tapped(*command.at)
        elif command.do == "save-spectra":
            self._save_spectra()
        elif command.do == "save-picture":
            self._save_picture()
        elif command.do == "draw":
            self.panel.draw_entry(command.number, command.is_on)
        elif command.do == "find":
            self.panel.find_entries(command.text)
        else:
            if command.do == "pin" and self.state.pick is not None:
                pins = with_pin(pins, self.state.pick)
            elif command.do == "unpin":
                pins = tuple(pin for pin in pins if pin.slot != command.number)
            elif command.do == "label":
                pins = tuple(
                    replace(pin, label=clean_label(command.text, pin.slot)) if pin.slot == command.number else pin
                    for pin in pins
                )
            self.state = replace(self.state, pins=pins)
            self.panel.show_pins(pins)
            self._say_query()

    def _save_spectra(self) -> None:
        places = self.panel.placed()
        if places:
            result = self.view.result
            text = spectra_csv(result.title, places, self.position, result.wavelengths is not None)
            self._offer("spectra.csv", "text/csv; charset=utf-8", text.encode())

    def _save_picture(self) -> None:
        frame, state = self._frame(), self.state
        if frame is None:
            return

        def make() -> None:
            content = picture_png(self.painter, state, frame)
            self._soon(lambda: self._offer("png", "image/png", content))

        self.workers["save"].submit(make)

    def _offer(self, ending: str, kind: str, content: bytes) -> None:
        """Let the browser save a file, named after the result."""
        name = f"{Path(self.view.result.title).stem}.{ending}"
        self.settings.download = json.dumps({"key": self.downloads.add(name, kind, content)})

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
        if self._seen and not self.behind["right"].data["image"]:
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
        if not self._seen and self.painter.is_slow("result", frame):
            self._preview(state)
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
                self.settings.loading = ""
                self._paint_behind()  # quick now: from what the picture has read
                self._score(state.pick)
            self.settings.resolution = "full resolution" if step == 1 else f"{step} × {step} pixels averaged"

        self._soon(show)

    def _preview(self, state: State) -> None:
        """Show single pixels of fewer bands until all are read and averaged, which may take a while."""
        painted = self.painter.preview("result", state)

        def show() -> None:
            if not self._seen:
                self.behind["right"].data = _picture_data(painted, None)
                self.settings.loading = ""
                self.settings.resolution = "a quick look at single pixels; reading all of them …"

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
            key = (kind, band if kind in OF_ONE_BAND else 0.0)
            if key not in self._limits:
                self._limits[key] = colour_limit(self.view, kind, band)
            low, high = self._limits[key]

            def show() -> None:
                plots.set_limits(self.mapper, self.bar, low, high)
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
                about = self._band_name(band) if kind in OF_ONE_BAND else ""
                self.settings.map_note = f"{about}{averaged}".removeprefix(", ")

            self._soon(show)

        self.workers["map"].submit(draw)

    def _band_name(self, band: float) -> str:
        return f"{band:g} nm" if self.view.result.wavelengths is not None else f"band {band:g}"

    def _mark_bands(self) -> None:
        marked: tuple[float | None, ...] = self.painter.marked(self.state) or (None,) * 3
        for mark, position in zip(self.panel.channel_marks, marked, strict=True):
            mark.visible = position is not None
            mark.location = position
        self.panel.band_mark.location = self.state.band
        self.panel.band_mark.visible = self.state.mode == "band" or self.state.map in OF_ONE_BAND

    def _score(self, region: RegionOfInterest | None) -> None:
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
        workers = [*self.workers.values(), *self.panel.workers.values()]
        for worker in workers:
            worker.end()
        return all(worker.join(seconds) for worker in workers)


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
        "map": list(offered_maps(view)),
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


def _facts(view: ScenePair, state: State) -> dict[str, Any]:
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
    titles = {role: layer.title for role, layer in view.layers.items()}
    if view.half_width is not None:
        titles["half-width"] = view.half_width.title
    return {
        "layers": {role: f"{role.capitalize()}" for role in view.layers},
        "titles": titles,
        "quantity": "" if view.half_width is None else one_line(str(view.half_width.scene.attrs.get("quantity", ""))),
        "about": about,
        "modes": modes,
        "shown": shown,
        "stretches": RANGES,
        "maps": offered_maps(view),
        "band": axis.index(state.band) if state.band in axis else 0,
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
        if role != "result" and (other != label if label else not is_plotted(view, role)):
            lines.append(f"{role.capitalize()}: {other}")
    return " · ".join(lines)
