"""The drawing of a figure: images side by side, magnified, errors, spectra."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from finewave.extras import importing
from finewave.viz.series_colours import MAP, ROLES, SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GREY = "#111111", "#888888"
STYLES = ("-", "--", "-.", ":")
GAP = 4
"""Bands farther apart than this multiple of the median spacing are not joined."""
WIDTH = 2.1
"""Width of a column in inches, for four or more columns."""


@dataclass(frozen=True)
class Column:
    """One image of a figure.

    Parameters
    ----------
    label : str
    role : {"reference", "input", "result"}
    colours : ndarray (h, w, 3)
        sRGB in [0, 1]; of any resolution, every image covers the same area.
    spectra : ndarray (points, C) or None
        At the points of the drawing.
    wavelengths : ndarray (C,) or None
        nm, in any order; None for band numbers.
    half_widths : ndarray (points, C) or None
        Of the errors of the spectra, drawn as a band around them.
    error : ndarray (H, W) or None
        Of each pixel.
    scores : str
        Above the error.
    """

    label: str
    role: Literal["reference", "input", "result"]
    colours: np.ndarray
    spectra: np.ndarray | None = None
    wavelengths: np.ndarray | None = None
    half_widths: np.ndarray | None = None
    error: np.ndarray | None = None
    scores: str = ""


@dataclass(frozen=True)
class Drawing:
    """Contents of a figure.

    Parameters
    ----------
    columns : tuple of Column
        From left to right.
    size : (int, int)
        Rows and columns of the finest image: the unit of ``region`` and ``points``.
    region : (int, int, int, int)
        Top, left, height, width of the magnified part.
    points : tuple of (int, int)
        (y, x); none leaves out the spectra.
    title : str
        Empty for none.
    note : str
        Text in the free space beside the errors; not drawn without errors.
    """

    columns: tuple[Column, ...]
    size: tuple[int, int]
    region: tuple[int, int, int, int]
    points: tuple[tuple[int, int], ...]
    title: str = ""
    note: str = ""


def draw(drawing: Drawing, path: Path, dpi: int = 200) -> None:
    """Write a figure in the format of the file's extension, any that matplotlib supports.

    Text in a PDF remains text, in embedded TrueType fonts; equal drawings give equal bytes.

    Raises
    ------
    InputError
        If matplotlib is missing.
    """
    # no date and no version: the same drawing is the same file
    metadata = {"CreationDate": None, "Producer": None} if path.suffix.lower() == ".pdf" else {"Software": None}
    with _fonts():
        draw_figure(drawing, dpi).savefig(path, metadata=metadata)


def draw_figure(drawing: Drawing, dpi: int = 100) -> Figure:
    """Draw a figure.

    One column per image; rows are the image, its magnified part, and the error of each pixel on a common scale. Below
    are spectra at points marked in the first image.

    Raises
    ------
    InputError
        If matplotlib is missing.
    """
    with importing("view", "a figure"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        from finewave.viz.figure.shown_figure import ShownFigure

    with _fonts():
        heights = _heights(drawing)
        figure = ShownFigure(
            figsize=(_width(drawing) * len(drawing.columns), sum(heights.values()) + (0.35 if drawing.title else 0.1)),
            dpi=dpi,
            facecolor="white",
            layout="constrained",
        )
        FigureCanvasAgg(figure)
        if drawing.title:
            figure.suptitle(drawing.title, fontsize=12, x=0.01, ha="left", fontweight="bold")
        grid = figure.add_gridspec(len(heights), len(drawing.columns), height_ratios=list(heights.values()))
        lines = {name: number for number, name in enumerate(heights)}
        _images(figure, grid, drawing)
        if "errors" in lines:
            _errors(figure, grid, lines["errors"], drawing)
        if "spectra" in lines:
            _spectra(figure, grid[lines["spectra"], :], drawing)
    return figure


def _fonts() -> AbstractContextManager[None]:
    with importing("view", "a figure"):
        from matplotlib import rc_context
    # names are text, whatever they hold: "$x$" is no formula
    return rc_context(
        {"pdf.fonttype": 42, "font.family": "DejaVu Sans", "text.usetex": False, "text.parse_math": False}
    )


def _width(drawing: Drawing) -> float:
    """Return the width of a column; a figure of one or two images is at least as wide as its spectra need."""
    return float(np.clip(6.6 / len(drawing.columns), WIDTH, 3.3))


def _heights(drawing: Drawing) -> dict[str, float]:
    """Return the lines of a figure and how high they are."""
    width = _width(drawing)
    rows, columns = drawing.size
    shape = float(np.clip(rows / columns, 0.2, 3.0))
    part = float(np.clip(drawing.region[2] / drawing.region[3], 0.2, 3.0))
    heights = {"images": width * shape + 0.25, "magnified": width * part + 0.25}
    if any(column.error is not None for column in drawing.columns):
        heights["errors"] = width * shape + 0.45
    if drawing.points and any(column.spectra is not None for column in drawing.columns):
        heights["spectra"] = 2.6
    return heights


def _images(figure: Any, grid: Any, drawing: Drawing) -> None:
    """Draw each image, and below it the part in the frame."""
    rows, width = drawing.size
    extent = (-0.5, width - 0.5, rows - 0.5, -0.5)
    top, left, height, across = drawing.region
    for number, column in enumerate(drawing.columns):
        axes = _image(figure.add_subplot(grid[0, number]), column.colours, extent)
        axes.set_title(_broken(column.label), fontsize=8.5, loc="left")
        _box(axes, drawing.region)
        if number == 0:
            _marks(axes, drawing.points)
        close = _image(figure.add_subplot(grid[1, number]), column.colours, extent)
        close.set_xlim(left - 0.5, left + across - 0.5)
        close.set_ylim(top + height - 0.5, top - 0.5)


def _errors(figure: Any, grid: Any, line: int, drawing: Drawing) -> None:
    """Draw the error of each pixel on a common scale, and the note in the free space."""
    errors = [column.error for column in drawing.columns if column.error is not None]
    finite = np.concatenate([error[np.isfinite(error)] for error in errors])
    worst = (float(np.quantile(finite, 0.99)) if finite.size else 0.0) or 1e-6
    shades: Any = None
    maps, free = [], []
    for number, column in enumerate(drawing.columns):
        if column.error is None:
            free.append(number)
            continue
        axes = figure.add_subplot(grid[line, number])
        axes.set_facecolor("#bbbbbb")  # of pixels without data
        shades = axes.imshow(column.error, cmap=MAP, vmin=0, vmax=worst, interpolation="nearest")
        axes.set_title(column.scores, fontsize=8.5, loc="left")
        _bare(axes)
        maps.append(axes)
    bar = figure.colorbar(
        shades, ax=maps, location="bottom", shrink=0.6 if len(maps) > 1 else 1.0, aspect=40, pad=0.02, extend="max"
    )
    bar.ax.tick_params(labelsize=7)
    bar.set_label("error (root mean square over the bands)", fontsize=7.5)
    if drawing.note and free:
        note = figure.add_subplot(grid[line, free[0] : free[-1] + 1])
        note.set_axis_off()
        text = note.text(0, 0.97, drawing.note, fontsize=7.5, va="top", color=INK)
        text.set_in_layout(False)


def _spectra(figure: Any, place: Any, drawing: Drawing) -> None:
    """Draw one plot of spectra for each point: reference and input in theirs, each result in its colour."""
    inner = place.subgridspec(1, len(drawing.points), wspace=0.05)
    with_nm = all(column.wavelengths is not None for column in drawing.columns if column.role == "result")
    for number in range(len(drawing.points)):
        axes = figure.add_subplot(inner[number])
        results = 0
        for column in drawing.columns:
            look: dict[str, Any] = {"color": ROLES["reference"][0], "linewidth": 2.0}
            if column.role == "result":
                look = {"color": SERIES[results % len(SERIES)], "linestyle": STYLES[results % len(STYLES)]}
                look["linewidth"] = 1.3
                results += 1
            if column.spectra is None or (with_nm and column.wavelengths is None):
                continue
            if column.role == "input":
                look = {"color": ROLES["input"][0], "linestyle": "none", "marker": "D", "markersize": 4}
                look["markerfacecolor"] = "white"
            x = column.wavelengths if with_nm else None
            x = np.arange(1, column.spectra.shape[1] + 1) if x is None else x
            axes.plot(*with_gaps(x, column.spectra[number]), label=legend_entry(column.label), **look)
            if column.half_widths is not None:
                draw_interval(axes, x, column.spectra[number], column.half_widths[number], look["color"])
        axes.set_title(f"point {number + 1}", fontsize=8.5, loc="left")
        spectral_axes(axes, with_nm)
        if number == 0:
            axes.set_ylabel("value", fontsize=8)
            handles, labels = axes.get_legend_handles_labels()
            figure.legend(
                handles, labels, loc="outside lower center", ncols=min(len(labels), 4), fontsize=8, frameon=False
            )


def draw_interval(axes: Axes, x: np.ndarray, values: np.ndarray, half_widths: np.ndarray, colour: str) -> None:
    """Shade a spectrum plus and minus its half-widths."""
    at, low = with_gaps(x, values - half_widths)
    axes.fill_between(at, low, with_gaps(x, values + half_widths)[1], color=colour, alpha=0.16, linewidth=0)


def legend_entry(label: str) -> str:
    """Return a label that matplotlib shows: it leaves those out that begin with an underscore."""
    return f" {label}" if label.startswith("_") else label


def spectral_axes(axes: Axes, with_nm: bool) -> None:
    """Give a plot of spectra its axis of wavelengths, or of numbers of bands, and zero as its foot."""
    axes.set_xlabel("wavelength (nm)" if with_nm else "band", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def with_gaps(x: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a spectrum in the order of ``x``, with NaN where bands were left out, so that no line crosses the gap."""
    order = np.argsort(x)
    x, values = x[order].astype(float), values[order].astype(float)
    steps = np.diff(x)
    gaps = np.flatnonzero(steps > GAP * np.median(steps)) + 1 if len(steps) else np.array([], int)
    return np.insert(x, gaps, np.nan), np.insert(values, gaps, np.nan)


def _image(axes: Any, colours: np.ndarray, extent: tuple[float, ...]) -> Any:
    axes.imshow(colours, extent=extent, interpolation="nearest")
    return _bare(axes)


def _bare(axes: Any) -> Any:
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set(edgecolor=GREY, linewidth=0.5)
    return axes


def _box(axes: Any, region: tuple[int, int, int, int]) -> None:
    from matplotlib.patches import Rectangle

    top, left, height, width = region
    for colour, line in (("white", 2.4), (INK, 1.0)):
        axes.add_patch(Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor=colour, linewidth=line))


def _marks(axes: Any, points: tuple[tuple[int, int], ...]) -> None:
    for number, (y, x) in enumerate(points, start=1):
        axes.plot(x, y, "o", markersize=3.5, color="white", markeredgecolor=INK, markeredgewidth=0.8)
        axes.annotate(
            str(number),
            (x, y),
            xytext=(3, 3),
            textcoords="offset points",
            fontsize=8,
            fontweight="bold",
            color="white",
            bbox={"boxstyle": "round,pad=0.15", "facecolor": INK, "edgecolor": "none", "alpha": 0.75},
        )


def _broken(label: str) -> str:
    """Return a label on two lines if it is long."""
    if len(label) <= 20 or " " not in label:
        return label
    middle = min((i for i, letter in enumerate(label) if letter == " "), key=lambda i: abs(i - len(label) / 2))
    return f"{label[:middle]}\n{label[middle + 1 :]}"
