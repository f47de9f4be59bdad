"""The drawing of a figure: side by side, magnified, errors, spectra."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from finewave.errors import InputError
from finewave.inference.rendering import linear_as_srgb, spectra_as_srgb
from finewave.studies.figures import Picture, busiest_part, telling_points

# Okabe and Ito's colours, which stay apart for colour-blind readers
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
INK, GREY = "#111111", "#888888"
STYLES = ("-", "--", "-.", ":")


def draw(picture: Picture, title: str, path: Path) -> None:
    """Draw a picture as a PNG.

    Columns are the truth, the input and each method; lines are the scene, its busiest part magnified, and the error of
    each pixel (root mean square over the bands) on one scale. Below, spectra at points marked in the truth.

    Raises
    ------
    InputError
        If matplotlib is missing.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("figures need matplotlib: pip install 'finewave[demo]'") from None

    columns = 2 + len(picture.panels)
    part, points = busiest_part(picture.truth), telling_points(picture.truth)
    gain = 1.0 / max(float(np.quantile(picture.truth, 0.995)), 1e-6)
    shown = [
        ("truth", _colours(picture.truth, picture.wavelengths, gain)),
        ("input", _input_colours(picture.observed, gain)),
        *((panel.label, _colours(panel.values, picture.wavelengths, gain)) for panel in picture.panels),
    ]
    errors = [np.sqrt(((panel.values - picture.truth) ** 2).mean(0)) for panel in picture.panels]
    worst = float(np.quantile(np.stack(errors), 0.99)) or 1e-6

    figure = Figure(figsize=(2.1 * columns, 9.4), dpi=200, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=12, x=0.01, ha="left", fontweight="bold")
    grid = figure.add_gridspec(4, columns, height_ratios=(1, 1, 1, 1.15))
    rows, width = picture.truth.shape[1:]
    extent = (-0.5, width - 0.5, rows - 0.5, -0.5)
    for column, (label, colours) in enumerate(shown):
        axes = _image(figure.add_subplot(grid[0, column]), colours, extent)
        axes.set_title(_broken(label), fontsize=8.5, loc="left")
        _box(axes, part)
        if column == 0:
            _marks(axes, points)
        close = _image(figure.add_subplot(grid[1, column]), colours, extent)
        top, left, side = part
        close.set_xlim(left - 0.5, left + side - 0.5)
        close.set_ylim(top + side - 0.5, top - 0.5)
    shades: Any = None
    maps = []
    for column, (panel, error) in enumerate(zip(picture.panels, errors, strict=True), start=2):
        axes = figure.add_subplot(grid[2, column])
        shades = axes.imshow(error, cmap="magma", vmin=0, vmax=worst)
        axes.set_title(f"{panel.psnr:.2f} dB, {panel.sam:.2f}°", fontsize=8.5, loc="left")
        _bare(axes)
        maps.append(axes)
    note = figure.add_subplot(grid[2, :2])
    note.set_axis_off()
    missing = f"\nno model of: {', '.join(picture.missing)}" if picture.missing else ""
    words = (
        f"First line: sRGB under daylight, brightened {gain:.1f} times alike.\nSecond line: the part in the frame.\n"
        "Here: error of each pixel, root mean square\nover the bands, on one scale; PSNR and SAM\n"
        f"of the whole scene.{missing}"
    )
    note.text(0, 0.95, words, fontsize=8, va="top", color=INK)
    if shades is not None:
        figure.colorbar(shades, ax=maps, location="bottom", shrink=0.5, aspect=40, pad=0.02).ax.tick_params(labelsize=7)
    _spectra(figure, grid, picture, points)
    figure.savefig(path, format="png", metadata={"Software": None})


def _spectra(figure: Any, grid: Any, picture: Picture, points: list[tuple[int, int]]) -> None:
    """Draw one plot of spectra for each point: the truth in black, each method in its colour."""
    inner = grid[3, :].subgridspec(1, len(points), wspace=0.05)
    order = np.argsort(picture.wavelengths)
    for number, (y, x) in enumerate(points):
        axes = figure.add_subplot(inner[number])
        lines = [("truth", picture.truth, INK, "-", 2.0)]
        lines += [
            (panel.label, panel.values, COLOURS[i % len(COLOURS)], STYLES[i % len(STYLES)], 1.3)
            for i, panel in enumerate(picture.panels)
        ]
        for label, values, colour, style, size in lines:
            axes.plot(picture.wavelengths[order], values[order, y, x], style, color=colour, linewidth=size, label=label)
        axes.set_title(f"point {number + 1}", fontsize=8.5, loc="left")
        axes.set_xlabel("wavelength (nm)", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        if number == 0:
            axes.set_ylabel("reflectance-like value", fontsize=8)
            handles, labels = axes.get_legend_handles_labels()
            figure.legend(
                handles, labels, loc="outside lower center", ncols=min(len(labels), 4), fontsize=8, frameon=False
            )


def _colours(values: np.ndarray, wavelengths: np.ndarray, gain: float) -> np.ndarray:
    """Return spectra (C, H, W) as sRGB (H, W, 3)."""
    import xarray as xr

    scene = xr.DataArray(gain * values, dims=("band", "y", "x"), coords={"wavelength": ("band", wavelengths)})
    return spectra_as_srgb(scene)


def _input_colours(observed: np.ndarray, gain: float) -> np.ndarray:
    """Return the first three bands, red, green and blue, of a multispectral image as sRGB."""
    three = observed[:3] if len(observed) >= 3 else np.repeat(observed[:1], 3, axis=0)
    return linear_as_srgb(gain * three)


def _image(axes: Any, colours: np.ndarray, extent: tuple[float, ...]) -> Any:
    axes.imshow(colours, extent=extent, interpolation="nearest")
    return _bare(axes)


def _bare(axes: Any) -> Any:
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set(edgecolor=GREY, linewidth=0.5)
    return axes


def _box(axes: Any, part: tuple[int, int, int]) -> None:
    from matplotlib.patches import Rectangle

    top, left, side = part
    for colour, line in (("white", 2.4), (INK, 1.0)):
        axes.add_patch(Rectangle((left - 0.5, top - 0.5), side, side, fill=False, edgecolor=colour, linewidth=line))


def _marks(axes: Any, points: list[tuple[int, int]]) -> None:
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
