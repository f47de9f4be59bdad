"""The demo's picture: input and result side by side, a magnified part, spectra at marked points."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finewave.errors import InputError
from finewave.viz.rendering import linear_as_srgb, spectra_as_srgb

if TYPE_CHECKING:
    import xarray as xr

# Okabe and Ito's colours, which stay apart for colour-blind readers
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
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("the picture needs matplotlib: pip install 'finewave[demo]'") from None
    from finewave.io.atomic import atomic_output

    scale = result.shape[1] // scene.shape[1]
    before, after = linear_as_srgb(scene.values[:3]), spectra_as_srgb(result)
    # both in units of input pixels, so that marks and boxes agree
    extent = (-0.5, scene.shape[2] - 0.5, scene.shape[1] - 0.5, -0.5)
    box = _detailed_part(before)
    points = _points(scene.values, len(POINT_COLOURS))

    figure = Figure(figsize=(13, 8.6), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=13, x=0.012, ha="left", fontweight="bold")
    grid = figure.add_gridspec(2, 12, height_ratios=(1.0, 0.9))
    size = "{} × {} px".format
    shape, fine = scene.shape, result.shape
    whole = [
        (grid[0, :6], before, f"Input: photograph, {size(shape[2], shape[1])}, {shape[0]} bands"),
        (grid[0, 6:], after, f"Result: {size(fine[2], fine[1])}, {fine[0]} bands, shown in sRGB"),
    ]
    for place, picture, caption in whole:
        axes = _show(figure.add_subplot(place), picture, extent, caption)
        _draw_box(axes, box)
        for number, (y, x) in enumerate(points, start=1):
            _mark(axes, x, y, number)
    top, left, height, width = box
    zooms = [(grid[1, :3], before, "Input, magnified"), (grid[1, 3:6], after, "Result, magnified")]
    for place, picture, caption in zooms:
        axes = _show(figure.add_subplot(place), picture, extent, caption)
        axes.set_xlim(left - 0.5, left + width - 0.5)
        axes.set_ylim(top + height - 0.5, top - 0.5)
        axes.set_anchor("N")
        _frame(axes, "#111111", 1.5)
    _draw_spectra(figure.add_subplot(grid[1, 6:]), result, points, scale)

    with atomic_output(path) as temporary:
        figure.savefig(temporary, format="png")


def _show(axes: Any, picture: np.ndarray, extent: tuple[float, ...], caption: str) -> Any:
    axes.imshow(picture, extent=extent, interpolation="nearest")
    axes.set_title(caption, fontsize=10.5, loc="left")
    axes.set_xticks([])
    axes.set_yticks([])
    _frame(axes, "#888888", 0.6)
    return axes


def _frame(axes: Any, colour: str, width: float) -> None:
    for side in axes.spines.values():
        side.set(edgecolor=colour, linewidth=width)


def _draw_box(axes: Any, box: tuple[int, int, int, int]) -> None:
    from matplotlib.patches import Rectangle

    top, left, height, width = box
    for colour, line in (("white", 3.0), ("#111111", 1.3)):
        axes.add_patch(Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor=colour, linewidth=line))


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
    axes.set_ylim(top=axes.get_ylim()[1] * 1.12)  # room for the legend


def _detailed_part(picture: np.ndarray) -> tuple[int, int, int, int]:
    """Return (top, left, height, width) of the square with the most contrast between neighbours."""
    grey = picture.mean(axis=2)
    contrast = np.abs(np.diff(grey, axis=0, append=grey[-1:])) + np.abs(np.diff(grey, axis=1, append=grey[:, -1:]))
    height, width = (min(DETAIL, n) for n in grey.shape)
    sums = np.pad(contrast.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    top, left = np.unravel_index(int(inside.argmax()), inside.shape)
    return int(top), int(left), height, width


def _points(values: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Return (y, x) of pixels in even areas whose colours differ as much as can be."""
    from scipy.ndimage import uniform_filter

    finite = np.nan_to_num(values)
    mean = np.stack([uniform_filter(band, 5) for band in finite])
    spread = sum(uniform_filter(band**2, 5) - m**2 for band, m in zip(finite, mean, strict=True))
    margin = min(4, *(n // 2 for n in spread.shape))
    usable = np.zeros(spread.shape, dtype=bool)
    usable[margin : spread.shape[0] - margin or None, margin : spread.shape[1] - margin or None] = True
    usable &= np.isfinite(values).all(axis=0)
    if not usable.any():
        return []
    usable &= spread <= np.quantile(spread[usable], 0.3)
    rows, columns = np.nonzero(usable)
    colours = np.sqrt(np.maximum(mean[:, rows, columns].T, 0))  # steps of equal visibility, roughly
    chosen = [int(colours.sum(1).argmax())]
    while len(chosen) < min(count, len(rows)):
        distance = np.linalg.norm(colours[:, None] - colours[None, chosen], axis=2).min(1)
        chosen.append(int(distance.argmax()))
    return [(int(rows[i]), int(columns[i])) for i in chosen]
