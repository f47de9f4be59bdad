"""Plots for notebooks and scripts, as ``finewave.plot``: a scene, its spectra, results side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from finewave.errors import InputError
from finewave.extras import importing
from finewave.physics.rendering.colour import to_rgb
from finewave.physics.rendering.renderings import wavelengths_of
from finewave.scene import band_values, check_scene
from finewave.text.plain_text import one_line
from finewave.viz.figure.drawing import (
    STYLES,
    draw_figure,
    draw_interval,
    legend_entry,
    spectral_axes,
    with_gaps,
)
from finewave.viz.figure.figure import check_points, drawing_of
from finewave.viz.places import representative_points
from finewave.viz.scene_pair import HALF_WIDTHS, layer_of, pair_layers
from finewave.viz.series_colours import SERIES

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["compare", "image", "spectra"]

_NO_DATA = 0.6  # grey


def image(scene: xr.DataArray, colours: str | Sequence[float] = "default", *, axes: Axes | None = None) -> Axes:
    """Show what a scene looks like, the first row on top.

    Parameters
    ----------
    scene : xarray.DataArray (band, y, x)
    colours : str or three float
        See `finewave.to_rgb`.
    axes : matplotlib Axes, optional
        Where; default axes of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Its axes are columns and rows in pixels, counted from 0. Pixels without a value are grey.

    Raises
    ------
    InputError
        If the scene does not have the bands that were asked for, or matplotlib is missing.
    """
    shown = to_rgb(scene, colours)
    axes = axes or _new_axes(1.0)
    axes.imshow(np.nan_to_num(np.moveaxis(shown.values, 0, -1), nan=_NO_DATA), interpolation="nearest")
    axes.set_title(str(shown.attrs["rendering"]), fontsize=8.5, loc="left")
    axes.set_xlabel("column", fontsize=8)
    axes.set_ylabel("row", fontsize=8)
    return axes


def spectra(
    scenes: xr.DataArray | Mapping[str, xr.DataArray],
    points: Sequence[tuple[int, int]] | None = None,
    *,
    axes: Axes | None = None,
) -> Axes:
    """Plot spectra at points, a colour for each point and a line style for each scene.

    Parameters
    ----------
    scenes : xarray.DataArray (band, y, x), or mapping of str to it
        A scene, or scenes of one size by the label that they get.
    points : sequence of (column, row), optional
        Pixels counted from 0. Default: four in even areas of the first scene, whose spectra differ most.
    axes : matplotlib Axes, optional
        Where; default axes of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Over wavelength in nm, or over the number of the band if a scene has no wavelengths. Bands flagged bad are left
        out, and lines are not drawn across wider gaps. Results of ``super_resolve(..., uncertainty=0.9)`` have a band
        of their half-widths around them.

    Raises
    ------
    InputError
        If there is no scene, the scenes are of different sizes, a point lies outside, or matplotlib is missing.
    """
    named = _named(scenes)
    first = next(iter(named.values()))
    for label, scene in named.items():
        if _size(scene) != _size(first):
            raise InputError(
                f"{label} has {_size(scene)} rows and columns, {next(iter(named))} has {_size(first)}; "
                "spectra at the same points need scenes of one size"
            )
    pixels = representative_points(first.values) if points is None else check_points(points, _size(first))
    axes = axes or _new_axes(0.6)
    with_nm = all(wavelengths_of(scene) is not None for scene in named.values())
    for style, (label, scene) in enumerate(named.items()):
        positions = wavelengths_of(scene) if with_nm else None
        if positions is None:
            positions = np.arange(1.0, scene.sizes["band"] + 1)
        flags = band_values(scene, "good_band")
        drawn = np.ones(len(positions), bool) if flags is None or not flags.any() else flags.astype(bool)
        half_widths = scene.coords.get(HALF_WIDTHS)
        for number, (row, column) in enumerate(pixels):
            place = f"column {column}, row {row}"
            if half_widths is not None:
                values, widths = scene[:, row, column].values[drawn], half_widths[:, row, column].values[drawn]
                draw_interval(axes, positions[drawn], values, widths, SERIES[number % len(SERIES)])
            axes.plot(
                *with_gaps(positions, np.where(drawn, scene[:, row, column].values, np.nan)),
                color=SERIES[number % len(SERIES)],
                linestyle=STYLES[style % len(STYLES)],
                marker="." if len(positions) < 16 else "",
                label=place if len(named) == 1 else legend_entry(f"{label}, {place}"),
            )
    spectral_axes(axes, with_nm)
    axes.set_ylabel("value", fontsize=8)
    for text in axes.legend(fontsize=7, frameon=False).get_texts():
        text.set_parse_math(False)  # a name is text, whatever it holds: "$x$" is no formula
    return axes


def compare(
    results: xr.DataArray | Mapping[str, xr.DataArray],
    reference: xr.DataArray | None = None,
    observed: xr.DataArray | None = None,
    *,
    rgb: Sequence[float] | None = None,
    region: tuple[int, int, int, int] | None = None,
    points: Sequence[tuple[int, int]] | None = None,
    convention: str = "finewave",
    title: str = "",
) -> Figure:
    """Draw results side by side, magnified, with error maps, scores and spectra: ``finewave figure`` for open scenes.

    Parameters
    ----------
    results : xarray.DataArray (band, y, x), or mapping of str to it
        A result, or results of one size by the label that they get.
    reference : xarray.DataArray, optional
        The truth: error maps, PSNR and SAM.
    observed : xarray.DataArray, optional
        What the results were made from.
    rgb, region, points, convention, title
        See `finewave.viz.figure.figure.make_figure`.

    Returns
    -------
    matplotlib.figure.Figure
        A notebook shows it; ``savefig`` writes it.

    Raises
    ------
    InputError
        If sizes or bands do not fit, a region or point lies outside, or matplotlib is missing.
    """
    named = _named(results)
    pair = pair_layers(
        [layer_of("result", label, scene) for label, scene in named.items()],
        None if observed is None else layer_of("input", "input", check_scene(observed)),
        None if reference is None else layer_of("reference", "reference", check_scene(reference)),
    )
    drawing, _ = drawing_of(pair, list(named), rgb, region, points, convention, one_line(title))
    return draw_figure(drawing)


def _named(scenes: xr.DataArray | Mapping[str, xr.DataArray]) -> dict[str, xr.DataArray]:
    """Return scenes by label; the label of a single one is its model, or ``result``."""
    if isinstance(scenes, Mapping):
        if not scenes:
            raise InputError("there is no scene to plot")
        return {one_line(str(label)): check_scene(scene) for label, scene in scenes.items()}
    scene = check_scene(scenes)
    return {one_line(str(scene.attrs.get("model", "result"))): scene}


def _size(scene: xr.DataArray) -> tuple[int, int]:
    return scene.sizes["y"], scene.sizes["x"]


def _new_axes(shape: float) -> Axes:
    """Return the axes of a new figure, ``shape`` times as high as wide."""
    with importing("view", "a plot"):
        import matplotlib.pyplot as plt
    return plt.subplots(figsize=(6, 6 * shape), layout="constrained")[1]
