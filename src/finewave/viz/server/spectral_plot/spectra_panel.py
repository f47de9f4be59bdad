"""The panel of spectra: of the place that is chosen, of pinned places, and of a library."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finewave.viz.figure.drawing import with_gaps
from finewave.viz.server.latest_only_worker import LatestOnlyWorker
from finewave.viz.server.spectral_plot import plots
from finewave.viz.server.spectral_plot.library import Library, spectral_angle
from finewave.viz.server.spectral_plot.pins import PIN_COLOURS, Pin
from finewave.viz.server.spectral_plot.spectra import RegionOfInterest, RegionSpectrum, Superseded, spectrum
from finewave.viz.server.spectral_plot.spectra_table import PlacedSpectra

if TYPE_CHECKING:
    from finewave.viz.scene_pair import ScenePair

HALF_WIDTH = "half-width"
MOST_DRAWN = 4
"""Library spectra in the plot at a time."""
MOST_LISTED = 40
"""Library spectra in the list: the most alike."""

Spectra = dict[str, RegionSpectrum]


class SpectraPanel:
    """Read spectra, plot them, and say on the page what they are.

    Parameters
    ----------
    view : ScenePair
    library : Library, optional
    settings : Settings
        Of the page: ``pins`` and ``library`` are written here.
    soon : callable
        Schedules a change of the document from a thread.
    failed : callable
        Called in a thread with exceptions.
    """

    def __init__(
        self,
        view: ScenePair,
        library: Library | None,
        settings: Any,
        soon: Callable[[Callable[[], None]], None],
        failed: Callable[[Exception], Any],
    ) -> None:
        from bokeh.models import ColumnDataSource

        self.view, self.library, self.settings, self._soon = view, library, settings, soon
        self.workers = {name: LatestOnlyWorker(failed) for name in ("spectra", "pins")}
        self.region: RegionOfInterest | None = None
        self.current: Spectra = {}
        self.pins: tuple[Pin, ...] = ()
        self.drawn: list[int] = []
        self.filter = ""
        self._read: dict[RegionOfInterest, Spectra] = {}
        self._dark = False
        self.lines: dict[str, Any] = {
            role: ColumnDataSource(name=f"spectrum-{role}", data=_no_line()) for role in view.layers
        }
        self.interval: Any = ColumnDataSource(name="interval", data=_no_line())
        self.kept: Any = ColumnDataSource(name="pinned", data=_no_lines())
        self.bands: Any = ColumnDataSource(name="pinned-intervals", data=_no_lines())
        self.measured: Any = ColumnDataSource(name="measured", data=_no_lines())
        self.marks: Any = ColumnDataSource(name="pin-marks", data=_no_marks())
        self.plot, self.glyphs, self.channel_marks, self.band_mark = plots.make_spectra(
            {role: line for role, line in self.lines.items() if is_plotted(view, role)},
            self.interval if view.half_width is not None else None,
            (self.bands, self.kept, self.measured),
            _axis_ends(view),
            view.result.wavelengths is not None,
        )

    # What is shown

    def show_region(self, region: RegionOfInterest | None) -> None:
        """Read and plot the spectra of a region; None: of none."""
        self.region = region
        worker = self.workers["spectra"]
        if region is None:
            worker.submit(lambda: None)
            self._show_current({})
        else:
            worker.submit(lambda: self._read_current(region, lambda: worker.superseded))

    def show_pins(self, pins: tuple[Pin, ...]) -> None:
        """Read what is missing of pinned spectra, and plot them."""
        self.pins = pins
        if self.region is not None and self.current:
            self._read.setdefault(self.region, self.current)
        wanted = {pin.region for pin in pins}
        self._read = {region: found for region, found in self._read.items() if region in wanted}
        missing = [region for region in wanted if region not in self._read]
        if missing:
            worker = self.workers["pins"]
            worker.submit(lambda: self._read_pins(missing, lambda: worker.superseded))
        self._show_pins()

    def use_library(self, library: Library, entries: Sequence[int]) -> None:
        """Compare with another library, whose first spectra are those of the present one.

        Of ``entries`` the most alike are plotted, in place of those drawn first where there are too many.
        """
        self.library = library
        angles = self._angles(library)
        alike = sorted(entries, key=lambda entry: np.nan_to_num(angles[entry], nan=np.inf))[:MOST_DRAWN]
        self.drawn = ([each for each in self.drawn if each not in alike] + alike)[-MOST_DRAWN:]
        self._show_library()

    def draw_entry(self, entry: int, drawn: bool) -> None:
        """Plot a spectrum of the library, or no longer; the one drawn first gives way where there are too many."""
        if self.library is None or not 0 <= entry < len(self.library.entries):
            return
        self.drawn = [each for each in self.drawn if each != entry] + ([entry] if drawn else [])
        self.drawn = self.drawn[-MOST_DRAWN:]
        self._show_library()

    def find_entries(self, text: str) -> None:
        """List the spectra of the library with a text in their names."""
        self.filter = text[:80].casefold()
        self._show_library()

    def apply_theme(self, dark: bool) -> None:
        """Colour pinned and library spectra for a theme."""
        self._dark = dark
        self._show_pins()
        self._show_library()

    def placed(self) -> list[PlacedSpectra]:
        """Return all that is plotted of the view: pinned places, then the chosen one."""
        places = [
            PlacedSpectra(pin.label, pin.region, self._plotted(self._read[pin.region]))
            for pin in self.pins
            if pin.region in self._read
        ]
        if self.region is not None and self.current and self.region not in {pin.region for pin in self.pins}:
            places.append(PlacedSpectra("selection", self.region, self._plotted(self.current)))
        return places

    # Reading, in threads

    def _spectra_of(self, region: RegionOfInterest, superseded: Callable[[], bool]) -> Spectra:
        layers = dict(self.view.layers)
        if self.view.half_width is not None:
            layers[HALF_WIDTH] = self.view.half_width
        found = {name: spectrum(layer, region, superseded) for name, layer in layers.items()}
        return {name: each for name, each in found.items() if each is not None}

    def _read_current(self, region: RegionOfInterest, superseded: Callable[[], bool]) -> None:
        try:
            found = self._spectra_of(region, superseded)
        except Superseded:
            return
        self._soon(lambda: self._show_current(found))

    def _read_pins(self, regions: list[RegionOfInterest], superseded: Callable[[], bool]) -> None:
        for region in regions:
            try:
                found = self._spectra_of(region, superseded)
            except Superseded:  # the newer request reads those that are missing then
                return
            self._soon(partial(self._keep, region, found))

    def _keep(self, region: RegionOfInterest, found: Spectra) -> None:
        if region in {pin.region for pin in self.pins}:
            self._read[region] = found
            self._show_pins()

    # Plotting

    def _plotted(self, found: Spectra) -> Spectra:
        return {name: each for name, each in found.items() if name == HALF_WIDTH or is_plotted(self.view, name)}

    def _show_current(self, found: Spectra) -> None:
        self.current = found
        for role, line in self.lines.items():
            one = found.get(role)
            if one is None or not is_plotted(self.view, role):
                line.data = _no_line()
            else:
                line.data = _line(one, one.spread)
        half = found.get(HALF_WIDTH)
        self.interval.data = _no_line() if half is None else _line(found["result"], half.mean)
        self._show_pins()
        self._show_library()

    def _show_pins(self) -> None:
        lines, bands, marks = _no_lines(), _no_lines(), _no_marks()
        rows = []
        chosen = self.current.get("result")
        for pin in self.pins:
            colour = PIN_COLOURS[pin.slot][int(self._dark)]
            region, found = pin.region, self._read.get(pin.region, {})
            marks["x"].append((region.x0 + region.x1) / 2)
            marks["y"].append((region.y0 + region.y1) / 2)
            marks["colour"].append(PIN_COLOURS[pin.slot][0])
            marks["label"].append(pin.label)
            one, half = found.get("result"), found.get(HALF_WIDTH)
            angle = float("nan")
            if one is not None:
                _add_line(lines, *with_gaps(one.axis, one.mean), colour, pin.label)
                if chosen is not None and self.region != region:
                    angle = spectral_angle(one.mean, chosen.mean)
                if half is not None:
                    known = np.isfinite(one.mean + half.mean)
                    axis, mean, width = one.axis[known], one.mean[known], half.mean[known]
                    edge = np.concatenate([mean - width, (mean + width)[::-1]])
                    _add_line(bands, np.concatenate([axis, axis[::-1]]), edge, colour, pin.label)
            rows.append(
                {
                    "slot": pin.slot,
                    "label": pin.label,
                    "colour": colour,
                    "at": [region.x0, region.x1, region.y0, region.y1],
                    "angle": _angle_text(angle),
                    "read": one is not None,
                }
            )
        self.kept.data, self.bands.data, self.marks.data = lines, bands, marks
        self.settings.pins = json.dumps(rows)
        self._fit()

    def _show_library(self) -> None:
        if self.library is None:
            return
        angles = self._angles(self.library)
        lines = _no_lines()
        for number, entry in enumerate(self.drawn):
            one = self.library.entries[entry]
            colour = PIN_COLOURS[-1 - number][int(self._dark)]
            _add_line(lines, one.spectrum.wavelengths, one.spectrum.values, colour, one.name)
        self.measured.data = lines
        listed = [
            entry
            for entry in np.argsort(angles, kind="stable").tolist()
            if self.filter in self.library.entries[entry].name.casefold() and entry not in self.drawn
        ]
        rows = [
            {
                "entry": entry,
                "name": self.library.entries[entry].name,
                "angle": _angle_text(angles[entry]),
                "colour": PIN_COLOURS[-1 - self.drawn.index(entry)][int(self._dark)] if entry in self.drawn else "",
            }
            for entry in [*self.drawn, *listed[:MOST_LISTED]]
        ]
        self.settings.library = json.dumps(rows)
        self._fit()

    def _angles(self, library: Library) -> NDArray[np.float64]:
        """Return the angle of each of its spectra to the chosen one; NaN without one."""
        chosen = self.current.get("result")
        if chosen is None:
            return np.full(len(library.entries), np.nan)
        order = np.argsort(self.view.result.axis, kind="stable")
        values = np.empty(len(order))
        values[order] = chosen.mean
        return library.angles(values)

    def _fit(self) -> None:
        """Fit the axis of values to what is drawn."""
        ends = [each.data[name] for each in (*self.lines.values(), self.interval) for name in ("low", "high")]
        start, stop = self.plot.x_range.start, self.plot.x_range.end
        for source in (self.kept, self.bands, self.measured):
            for x, y in zip(source.data["xs"], source.data["ys"], strict=True):
                ends.append(y[(x >= start) & (x <= stop)])
        drawn = np.concatenate(ends)
        drawn = drawn[np.isfinite(drawn)]
        if drawn.size:
            low, high = min(0.0, float(drawn.min())), float(drawn.max())
            # space for the legend above
            self.plot.y_range.update(start=low, end=low + 1.18 * ((high - low) or 1.0))


def _line(one: RegionSpectrum, spread: Any) -> dict[str, Any]:
    """Return what is drawn: no line crosses a gap between bands."""
    values = {"mean": one.mean, "spread": spread, "low": one.mean - spread, "high": one.mean + spread}
    return {"axis": with_gaps(one.axis, one.mean)[0]} | {
        name: with_gaps(one.axis, each)[1] for name, each in values.items()
    }


def _no_line() -> dict[str, Any]:
    return {name: np.empty(0) for name in ("axis", "mean", "spread", "low", "high")}


def _no_lines() -> dict[str, list[Any]]:
    return {name: [] for name in ("xs", "ys", "colour", "label")}


def _add_line(lines: dict[str, list[Any]], axis: Any, values: Any, colour: str, label: str) -> None:
    for name, value in zip(("xs", "ys", "colour", "label"), (axis, values, colour, label), strict=True):
        lines[name].append(value)


def _no_marks() -> dict[str, list[Any]]:
    return {name: [] for name in ("x", "y", "colour", "label")}


def _angle_text(angle: float) -> str:
    return f"{angle:.2f}°" if np.isfinite(angle) else ""


def _axis_ends(view: ScenePair) -> tuple[float, float]:
    """Return the range of the axis of the spectra."""
    shown = [layer.axis for role, layer in view.layers.items() if is_plotted(view, role)]
    return float(min(axis.min() for axis in shown)), float(max(axis.max() for axis in shown))


def is_plotted(view: ScenePair, role: str) -> bool:
    """Return whether an image has spectra: bands without wavelengths are not mixed with those that have them."""
    return view.result.wavelengths is None or view.layers[role].wavelengths is not None
