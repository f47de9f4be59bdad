"""The response curves of a sensor, drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from finewave.errors import unknown_name
from finewave.extras import importing
from finewave.io.atomic import atomic_output
from finewave.io.file_errors import writing
from finewave.physics.sensors import Sensor
from finewave.text.plain_text import one_line

EXTENSIONS = (".pdf", ".png")
MANY = 30
"""Bands from which on names do not fit beside their curves."""


def draw_sensor(sensor: Sensor, path: Path, dpi: int = 150) -> None:
    """Draw every band's response, each over its maximum, into a ``.pdf`` or ``.png``.

    Parameters
    ----------
    sensor : Sensor
    path : Path
    dpi : int
        Of a PNG.

    Raises
    ------
    InputError
        If matplotlib is missing, the extension is another, or the file cannot be written.
    """
    with importing("view", "drawing a sensor"):
        from matplotlib import colormaps, rc_context
        from matplotlib.figure import Figure
    if path.suffix.lower() not in EXTENSIONS:
        raise unknown_name("extension of a figure", path.suffix or path.name, EXTENSIONS)
    with rc_context({"text.parse_math": False}):  # names of bands are no formulae
        figure = Figure(figsize=(9, 3.2), layout="constrained")
        axes = figure.add_subplot()
        places = np.argsort(np.argsort(sensor.centres)) / max(len(sensor.bands) - 1, 1)
        colours = colormaps["turbo"](0.08 + 0.84 * places)
        for band, curve, centre, colour in zip(sensor.bands, sensor.curves, sensor.centres, colours, strict=True):
            relative = curve / np.abs(curve).max()
            axes.plot(sensor.wavelengths, relative, color=colour, linewidth=1.2)
            axes.fill_between(sensor.wavelengths, relative, color=colour, alpha=0.25, linewidth=0)
            if len(sensor.bands) < MANY:
                axes.annotate(
                    one_line(band),
                    (centre, 1.0),
                    (0, 4),
                    textcoords="offset points",
                    ha="center",
                    va="bottom",
                    fontsize=7,
                )
        axes.set(
            xlabel="wavelength (nm)", ylabel="relative response", title=one_line(sensor.description or sensor.name)
        )
        axes.margins(y=0.12)
        with writing(path), atomic_output(path) as temporary:
            figure.savefig(temporary, dpi=dpi, format=path.suffix.lstrip(".").lower())
