"""Figures of studies: images and captions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from finewave.metrics.description import in_words
from finewave.physics.rendering.display import DisplayRange, display_range, on_grey, srgb_bytes
from finewave.physics.rendering.renderings import Rendering, rendering
from finewave.scene import make_scene
from finewave.viz.error_maps import rmse_map
from finewave.viz.figure.drawing import Column, Drawing
from finewave.viz.figure.drawing import draw as draw_figure
from finewave.viz.places import highest_contrast_window, representative_points


@dataclass(frozen=True)
class Panel:
    """Prediction of one row of the table.

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
class StudyPicture:
    """Contents of a figure.

    Parameters
    ----------
    scene : str
    truth : ndarray (C, H, W)
    observed : ndarray (c, h, w)
        Input of the networks: the LR-MSI.
    wavelengths : ndarray (C,)
        nm.
    panels : tuple of Panel
    missing : tuple of str
        Rows without a trained model.
    """

    scene: str
    truth: np.ndarray
    observed: np.ndarray
    wavelengths: np.ndarray
    panels: tuple[Panel, ...]
    missing: tuple[str, ...] = ()


def draw(picture: StudyPicture, title: str, path: Path) -> None:
    """Draw a picture as a PNG: columns are the truth, the input and each method.

    Raises
    ------
    InputError
        If matplotlib is missing.
    """
    truth = picture.truth
    (top, left, side), points = highest_contrast_window(truth), representative_points(truth)
    shown = rendering(make_scene(truth, wavelengths=picture.wavelengths))
    limits = display_range("auto", shown, shown.channels(truth[shown.bands]))

    def spectra(values: np.ndarray) -> np.ndarray:
        return np.stack([values[:, y, x] for y, x in points])

    columns = [
        Column("truth", "reference", _colours(truth, shown, limits), spectra(truth), picture.wavelengths),
        Column("input", "input", _input_colours(picture.observed, limits)),
    ]
    columns += [
        Column(
            panel.label,
            "result",
            _colours(panel.values, shown, limits),
            spectra(panel.values),
            picture.wavelengths,
            error=rmse_map(panel.values, truth),
            scores=in_words({"psnr": panel.psnr, "sam": panel.sam}),
        )
        for panel in picture.panels
    ]
    missing = f"\nno model of: {', '.join(picture.missing)}" if picture.missing else ""
    note = (
        f"First line: {shown.label},\n0 to {limits.high[0]:.3g}, alike for all.\nSecond line: the part in the frame.\n"
        "Here: error of each pixel, root mean square\nover the bands, on one scale; PSNR and SAM\n"
        f"of the whole scene.{missing}"
    )
    region = top, left, side, side
    draw_figure(Drawing(tuple(columns), truth.shape[1:], region, tuple(points), title, note), path)


def _colours(values: np.ndarray, shown: Rendering, limits: DisplayRange) -> np.ndarray:
    """Return spectra (C, H, W) as sRGB (H, W, 3)."""
    return on_grey(srgb_bytes(shown, shown.channels(values[shown.bands]), limits))


def _input_colours(observed: np.ndarray, limits: DisplayRange) -> np.ndarray:
    """Return the first three bands (red, green, blue) of a multispectral image, or the first one, as sRGB."""
    three = observed[:3] if len(observed) >= 3 else observed[:1].repeat(3, axis=0)
    return _colours(three, rendering(make_scene(three)), limits)
