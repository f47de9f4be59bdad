"""The demo's picture: input and result side by side, a magnified part, spectra at marked points."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finewave.extras import importing
from finewave.physics.rendering.colour import to_rgb
from finewave.text.plain_text import one_line
from finewave.viz.places import highest_contrast_window, representative_points

if TYPE_CHECKING:
    import xarray as xr

# Okabe and Ito's colours, distinguishable for colour-blind readers
POINT_COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#0072B2")
DETAIL = 32
"""Side of the magnified part, in input pixels."""


def draw_demo(scene: xr.DataArray, result: xr.DataArray, path: Path, title: str) -> None:
    """Draw ``result`` (C, H, W) beside the ``scene`` (3, h, w) it was made from, as a PNG.

    Raises
    ------
    InputError
        If matplotlib is missing or the file cannot be written.
    """
    with importing("demo", "the picture"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    from finewave.io.atomic import atomic_output

    scale = result.shape[1] // scene.shape[1]
    before, after = (to_rgb(each) for each in (scene, result))
    label = after.attrs["rendering"]
    # both in units of input pixels, so that marks and boxes agree
    extent = (-0.5, scene.shape[2] - 0.5, scene.shape[1] - 0.5, -0.5)
    box = highest_contrast_window(before.values, side=DETAIL)
    points = representative_points(scene.values, len(POINT_COLOURS))

    figure = Figure(figsize=(13, 8.6), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(one_line(title), fontsize=13, x=0.012, ha="left", fontweight="bold", parse_math=False)
    grid = figure.add_gridspec(2, 12, height_ratios=(1.0, 0.9))
    size = "{} × {} px".format
    shape, fine = scene.shape, result.shape
    whole = [
        (grid[0, :6], before, f"Input: photograph, {size(shape[2], shape[1])}, {shape[0]} bands"),
        (grid[0, 6:], after, f"Result: {size(fine[2], fine[1])}, {fine[0]} bands; {label[0].lower()}{label[1:]}"),
    ]
    for place, picture, caption in whole:
        axes = _show(figure.add_subplot(place), picture, extent, caption)
        _draw_box(axes, box)
        for number, (y, x) in enumerate(points, start=1):
            _mark(axes, x, y, number)
    top, left, side = box
    zooms = [(grid[1, :3], before, "Input, magnified"), (grid[1, 3:6], after, "Result, magnified")]
    for place, picture, caption in zooms:
        axes = _show(figure.add_subplot(place), picture, extent, caption)
        axes.set_xlim(left - 0.5, left + side - 0.5)
        axes.set_ylim(top + side - 0.5, top - 0.5)
        axes.set_anchor("N")
        _frame(axes, "#111111", 1.5)
    _draw_spectra(figure.add_subplot(grid[1, 6:]), result, points, scale)

    with atomic_output(path) as temporary:
        figure.savefig(temporary, format="png")


def _show(axes: Any, picture: xr.DataArray, extent: tuple[float, ...], caption: str) -> Any:
    axes.imshow(np.nan_to_num(picture.values, nan=0.5).transpose(1, 2, 0), extent=extent, interpolation="nearest")
    axes.set_title(caption, fontsize=10.5, loc="left", wrap=True)  # of a square photograph it would not fit
    axes.set_xticks([])
    axes.set_yticks([])
    _frame(axes, "#888888", 0.6)
    return axes


def _frame(axes: Any, colour: str, width: float) -> None:
    for side in axes.spines.values():
        side.set(edgecolor=colour, linewidth=width)


def _draw_box(axes: Any, box: tuple[int, int, int]) -> None:
    from matplotlib.patches import Rectangle

    top, left, side = box
    for colour, line in (("white", 3.0), ("#111111", 1.3)):
        axes.add_patch(Rectangle((left - 0.5, top - 0.5), side, side, fill=False, edgecolor=colour, linewidth=line))


def _mark(axes: Any, x: float, y: float, number: int) -> None:
    axes.text(
        x,
        y,
        str(number),
        fontsize=9,
        fontweight="bold",
        color="white",
        ha="center",
        va="center",
        bbox={"boxstyle": "circle,pad=0.25", "facecolor": POINT_COLOURS[number - 1], "edgecolor": "white"},
    )


def _draw_spectra(axes: Any, result: xr.DataArray, points: list[tuple[int, int]], scale: int) -> None:
    """Draw the mean spectrum of the output pixels on each marked input pixel."""
    wavelengths = result.coords["wavelength"].values
    order = np.argsort(wavelengths)
    for number, (y, x) in enumerate(points, start=1):
        area = result.values[:, y * scale : (y + 1) * scale, x * scale : (x + 1) * scale]
        axes.plot(
            wavelengths[order],
            area.mean(axis=(1, 2))[order],
            color=POINT_COLOURS[number - 1],
            linewidth=2.2,
            marker="o",
            markersize=3,
            label=f"point {number}",
        )
    axes.set_title("Spectra at the marked points", fontsize=10.5, loc="left")
    axes.set_xlabel("wavelength (nm)")
    axes.set_ylabel("reflectance-like value")
    axes.set_xlim(wavelengths.min(), wavelengths.max())
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.grid(color="#dddddd", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, ncols=len(points), loc="upper left", columnspacing=1.2)
    axes.set_ylim(top=axes.get_ylim()[1] * 1.12)  # space for the legend
