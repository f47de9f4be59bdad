"""The page's plots, as models of Bokeh: two pictures to swipe between, a map, spectra; and their colours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from finewave.viz.series_colours import MAP, ROLES

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure

    from finewave.viz.server.spectral_plot.spectra import RegionOfInterest

_INK = ("#3b434f", "#b9c1cc")
_GRID = ("#e4e7ec", "#323a45")
_PAPER = ("#ffffff", "#171b21")
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
RGB_MARKS = ("#d1495b", "#3a9a5b", "#3f7fd0")
PALETTE = f"{MAP.capitalize()}256"
_NO_OUTLINE = ".bk-Canvas { --outline-width: 0px; }"


def picture_source(name: str | None = None) -> Any:
    """Return an empty source of a picture."""
    from bokeh.models import ColumnDataSource

    return ColumnDataSource(name=name, data=no_picture())


def no_picture() -> dict[str, list[Any]]:
    """Return the data of an empty picture."""
    return {"image": [], "x": [], "y": [], "dw": [], "dh": [], "frame": []}


def pick_data(region: RegionOfInterest | None) -> dict[str, list[float]]:
    """Return the data of the selection mark: its edges, and a ring around a single pixel."""
    if region is None:
        return {name: [] for name in ("x0", "x1", "y0", "y1", "x", "y", "ring")}
    small = max(region.x1 - region.x0, region.y1 - region.y0) < 3
    middle = {"x": [(region.x0 + region.x1) / 2], "y": [(region.y0 + region.y1) / 2], "ring": [16.0 if small else 0.0]}
    return {**{name: [float(getattr(region, name))] for name in ("x0", "x1", "y0", "y1")}, **middle}


def make_picture(name: str, ranges: Any, picks: Any, pins: Any, behind: Any, front: Any) -> Figure:
    """Return a picture without axes: overview behind, frame in front, the selection mark, and pinned places."""
    plot = _bare(name, ranges)
    for source in (behind, front):
        plot.image_rgba("image", "x", "y", "dw", "dh", source=source)
    _mark_picks(plot, picks)
    plot.scatter("x", "y", source=pins, size=11, fill_color="colour", line_color="white", line_width=2)
    plot.text(
        "x",
        "y",
        "label",
        source=pins,
        x_offset=9,
        y_offset=8,
        text_font={"value": _FONT},
        text_font_size="13px",
        text_color="white",
        background_fill_color="#0f1216",
        background_fill_alpha=0.72,
        border_radius=4,
        padding=3,
    )
    return plot


def make_map(name: str, ranges: Any, picks: Any, source: Any) -> tuple[Figure, Any, Any]:
    """Return a map with a colour bar; the mapper of its colours; the bar."""
    from bokeh.models import BasicTicker, ColorBar, LinearColorMapper, NumeralTickFormatter

    plot = _bare(name, ranges)
    mapper = LinearColorMapper(palette=PALETTE, low=0, high=1, nan_color="rgba(128,128,128,0.25)")
    plot.image("image", "x", "y", "dw", "dh", source=source, color_mapper=mapper)
    _mark_picks(plot, picks)
    bar = ColorBar(
        color_mapper=mapper,
        width=12,
        padding=6,
        label_standoff=6,
        ticker=BasicTicker(desired_num_ticks=6),
        formatter=NumeralTickFormatter(),  # the usual one gives neighbouring labels the same digits
        major_label_text_font=_FONT,
        major_label_text_font_size="12px",
        bar_line_color=None,
        background_fill_color=None,
        major_tick_line_color=None,
    )
    plot.add_layout(bar, "right")
    return plot, mapper, bar


def make_spectra(
    sources: dict[str, Any],
    interval: Any,
    kept: tuple[Any, Any, Any],
    axis_ends: tuple[float, float],
    measured_in_nm: bool,
) -> tuple[Figure, dict[str, Any], list[Any], Any]:
    """Return the plot of spectra.

    Parameters
    ----------
    sources : dict of str to ColumnDataSource
        The spectrum of the chosen place, by role.
    interval : ColumnDataSource or None
        Half-widths round that of the result.
    kept : tuple of three ColumnDataSource
        Intervals and spectra of pinned places, and spectra of a library.
    axis_ends : (float, float)
    measured_in_nm : bool

    Returns
    -------
    plot : figure
    drawn : dict of str to tuple
        Areas, lines and dots by role; ``"interval"`` is an area and its edges.
    marks : list of Span
        Red, green and blue.
    band : Span
        The band of the slider.
    """
    from bokeh.models import HoverTool, PanTool, Range1d, Span, WheelZoomTool
    from bokeh.plotting import figure

    margin = 0.02 * (axis_ends[1] - axis_ends[0]) or 0.5

    plot: Any = figure(  # Bokeh's own types do not know the keywords it documents
        name="spectra",
        sizing_mode="stretch_both",
        toolbar_location=None,
        x_axis_label="Wavelength (nm)" if measured_in_nm else "Band",
        y_axis_label="Value",
        x_range=Range1d(start=axis_ends[0] - margin, end=axis_ends[1] + margin),
        y_range=Range1d(start=0, end=1),
        tools=[PanTool(), WheelZoomTool()],
        min_border=6,
        outline_line_color=None,
        background_fill_color=None,
        border_fill_color=None,
    )
    plot.toolbar.active_scroll = plot.select_one(WheelZoomTool)
    plot.stylesheets.append(_NO_OUTLINE)
    drawn: dict[str, Any] = {}
    lines = []
    intervals, pinned, measured = kept
    plot.patches("xs", "ys", source=intervals, fill_color="colour", fill_alpha=0.15, line_color=None)
    if interval is not None:
        shade = plot.varea("axis", "low", "high", source=interval, fill_alpha=0.22, legend_label="± half-width")
        edges = tuple(
            plot.line("axis", end, source=interval, line_width=1, line_dash="dotted") for end in ("low", "high")
        )
        drawn["interval"] = (shade, *edges)
    measured_lines = plot.multi_line(
        "xs", "ys", source=measured, line_color="colour", line_width=2, line_dash="dotdash"
    )
    pinned_lines = plot.multi_line("xs", "ys", source=pinned, line_color="colour", line_width=2.2)
    for role, source in sources.items():
        area = plot.varea("axis", "low", "high", source=source, fill_alpha=0.18)
        dash = "dashed" if role == "reference" else "solid"
        line = plot.line("axis", "mean", source=source, line_width=2.2, line_dash=dash, legend_label=role)
        # the input has few bands, marked by points
        dots = plot.scatter("axis", "mean", source=source, size=8 if role == "input" else 4, legend_label=role)
        drawn[role] = (area, line, dots)
        lines.append(dots)
    unit = " nm" if measured_in_nm else ""
    plot.add_tools(
        HoverTool(
            renderers=lines, mode="mouse", tooltips=[("", f"@axis{{0.#}}{unit}: @mean{{0.0000}} ± @spread{{0.0000}}")]
        )
    )
    plot.add_tools(HoverTool(renderers=[measured_lines, pinned_lines], tooltips=[("", "@label")]))
    marks = [Span(dimension="height", line_color=colour, line_width=1.5, line_dash="dotted") for colour in RGB_MARKS]
    band = Span(dimension="height", line_width=1.2)
    for mark in (*marks, band):
        plot.add_layout(mark)
    plot.legend.orientation = "horizontal"
    plot.legend.location = "top_left"
    plot.legend.label_text_font_size = "12px"
    plot.legend.label_text_font = _FONT
    plot.legend.padding = 4
    plot.legend.background_fill_alpha = 0.75
    plot.legend.border_line_color = None
    for axis in (*plot.xaxis, *plot.yaxis):
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font = axis.major_label_text_font = _FONT
        axis.axis_label_text_font_size = "13px"
        axis.major_label_text_font_size = "12px"
        axis.minor_tick_line_color = None
        axis.axis_label_standoff = 6
    return plot, drawn, marks, band


def _bare(name: str, ranges: Any) -> Figure:
    from bokeh.models import BoxSelectTool, PanTool, WheelZoomTool
    from bokeh.plotting import figure

    pan, wheel, region = PanTool(), WheelZoomTool(zoom_on_axis=False), BoxSelectTool()
    plot: Any = figure(
        name=name,
        x_range=ranges[0],
        y_range=ranges[1],
        tools=[pan, wheel, region],
        toolbar_location=None,
        sizing_mode="stretch_both",
        min_border=0,
        outline_line_color=None,
        background_fill_color=None,
        border_fill_color=None,
    )
    plot.toolbar.active_drag, plot.toolbar.active_scroll = pan, wheel
    plot.axis.visible = False
    plot.grid.visible = False
    plot.stylesheets.append(_NO_OUTLINE)
    region.overlay.line_color = "white"
    region.overlay.fill_alpha = 0.15
    return plot


def _mark_picks(plot: Figure, picks: Any) -> None:
    for colour, width in (("black", 3.5), ("white", 1.5)):
        plot.quad("x0", "x1", "y0", "y1", source=picks, fill_color=None, line_color=colour, line_width=width)
        plot.scatter("x", "y", size="ring", source=picks, fill_color=None, line_color=colour, line_width=width)


def set_limits(mapper: Any, bar: Any, low: float, high: float) -> None:
    """Set the ends of the colour bar, and as many digits as tell its labels apart."""
    mapper.update(low=low, high=high)
    digits = min(9, max(0, 1 - math.floor(math.log10(high - low))))
    bar.formatter.format = f"0.{'0' * digits}" if digits else "0"


def apply_theme(spectra: Figure, drawn: dict[str, Any], band: Any, bar: Any, dark: bool) -> None:
    """Apply the colours of the light or the dark theme."""
    which = int(dark)
    for axis in (*spectra.xaxis, *spectra.yaxis):
        axis.axis_label_text_color = axis.major_label_text_color = _INK[which]
        axis.axis_line_color = axis.major_tick_line_color = _INK[which]
    spectra.grid.grid_line_color = _GRID[which]
    spectra.legend.label_text_color = _INK[which]
    spectra.legend.background_fill_color = _PAPER[which]
    band.line_color = _INK[which]
    for role, (area, line, dots) in drawn.items():
        colour = ROLES["result" if role == "interval" else role][which]
        area.glyph.fill_color = colour
        line.glyph.line_color = dots.glyph.line_color = colour
        if role != "interval":
            dots.glyph.fill_color = colour
    bar.major_label_text_color = _INK[which]
