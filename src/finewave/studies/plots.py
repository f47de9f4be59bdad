"""A study's picture as a figure: what is shown of it, and the words beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from finewave.viz.error_maps import rmse_map
from finewave.viz.figure.composite import display_limit
from finewave.viz.figure.drawing import Column, Drawing
from finewave.viz.figure.drawing import draw as draw_figure
from finewave.viz.figure.places import busiest_part, telling_points
from finewave.viz.rendering import linear_as_srgb, spectra_as_srgb


@dataclass(frozen=True)
class Panel:
    """What one row of the table makes of the scene.

    Parameters
    ----------
    label : str
    values : ndarray (C, H, W)
    psnr, sam : float
        Of the whole scene, in the protocol's convention.
    """

    label: str
    values: np.ndarray
    psnr: float
    sam: float


@dataclass(frozen=True)
class Picture:
    """All that a figure shows.

    Parameters
    ----------
    scene : str
    truth : ndarray (C, H, W)
    observed : ndarray (c, h, w)
        What networks see: the LR-MSI.
    wavelengths : ndarray (C,)
        nm.
    panels : tuple of Panel
    missing : tuple of str
        Rows whose models are not there.
    """

    scene: str
    truth: np.ndarray
    observed: np.ndarray
    wavelengths: np.ndarray
    panels: tuple[Panel, ...]
    missing: tuple[str, ...] = ()


def draw(picture: Picture, title: str, path: Path) -> None:
    """Draw a picture as a PNG: columns are the truth, the input and each method.

    Raises
    ------
    InputError
        If matplotlib is missing.
    """
    truth = picture.truth
    (top, left, side), points = busiest_part(truth), telling_points(truth)
    gain = 1.0 / display_limit(truth)

    def spectra(values: np.ndarray) -> np.ndarray:
        return np.stack([values[:, y, x] for y, x in points])

    columns = [
        Column("truth", "reference", _colours(truth, picture.wavelengths, gain), spectra(truth), picture.wavelengths),
        Column("input", "input", _input_colours(picture.observed, gain)),
    ]
    columns += [
        Column(
            panel.label,
            "result",
            _colours(panel.values, picture.wavelengths, gain),
            spectra(panel.values),
            picture.wavelengths,
            rmse_map(panel.values, truth),
            f"{panel.psnr:.2f} dB, {panel.sam:.2f}°",
        )
        for panel in picture.panels
    ]
    missing = f"\nno model of: {', '.join(picture.missing)}" if picture.missing else ""
    note = (
        f"First line: sRGB under daylight, brightened {gain:.1f} times alike.\nSecond line: the part in the frame.\n"
        "Here: error of each pixel, root mean square\nover the bands, on one scale; PSNR and SAM\n"
        f"of the whole scene.{missing}"
    )
    region = top, left, side, side
    draw_figure(Drawing(tuple(columns), truth.shape[1:], region, tuple(points), title, note), path)


def _colours(values: np.ndarray, wavelengths: np.ndarray, gain: float) -> np.ndarray:
    """Return spectra (C, H, W) as sRGB (H, W, 3)."""
    import xarray as xr

    scene = xr.DataArray(gain * values, dims=("band", "y", "x"), coords={"wavelength": ("band", wavelengths)})
    return spectra_as_srgb(scene)


def _input_colours(observed: np.ndarray, gain: float) -> np.ndarray:
    """Return the first three bands, red, green and blue, of a multispectral image as sRGB."""
    three = observed[:3] if len(observed) >= 3 else np.repeat(observed[:1], 3, axis=0)
    return linear_as_srgb(gain * three)
