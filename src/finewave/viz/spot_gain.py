"""A picture of what spots do to one scene: the scene with its spots, and the spectral angle before and after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from finewave.io.atomic import atomic_output
from finewave.viz.error_maps import angle_map
from finewave.viz.series_colours import MAP

_LARGEST_ANGLE = 30.0  # degrees, at the end of the colour scale


def draw_spot_gain(
    colours: np.ndarray, truth: np.ndarray, before: np.ndarray, after: np.ndarray, centres: np.ndarray, path: Path
) -> None:
    """Write the picture.

    Parameters
    ----------
    colours : ndarray (H, W, 3)
        Red, green and blue, 0 to 1.
    truth, before, after : ndarray (C, H, W)
    centres : ndarray (n, 2)
        Rows and columns of the spots, the first one first.
    path : Path
        With one of `finewave.viz.reliability.EXTENSIONS`.
    """
    from matplotlib.figure import Figure
    from matplotlib.patheffects import withStroke

    legible = [withStroke(linewidth=2, foreground="black")]  # on any colour
    figure = Figure((9, 3.3), layout="constrained")
    scene, *maps = figure.subplots(1, 3)
    scene.imshow(np.clip(colours, 0, 1))
    for number, (row, column) in enumerate(centres, start=1):
        scene.plot(column, row, "s", mfc="none", mec="yellow", markersize=5, path_effects=legible)
        look: dict[str, Any] = {"color": "yellow", "fontweight": "bold", "path_effects": legible}
        scene.annotate(str(number), (column, row), xytext=(4, 3), textcoords="offset points", **look)
    scene.set_title("spots", fontsize=9)
    for axes, image, words in zip(maps, (before, after), ("without spots", f"with {len(centres)}"), strict=True):
        angles = angle_map(image, truth)
        shown = axes.imshow(angles, vmin=0, vmax=_LARGEST_ANGLE, cmap=MAP)
        axes.set_title(f"{words}: {np.nanmean(angles):.1f}°", fontsize=9)
        if axes is maps[-1]:
            figure.colorbar(shown, ax=maps, label="spectral angle (degrees)", shrink=0.8)
    for axes in (scene, *maps):
        axes.set_axis_off()
    with atomic_output(path) as temporary:
        figure.savefig(temporary, dpi=75)
