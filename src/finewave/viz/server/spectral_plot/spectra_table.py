"""Plotted spectra as CSV: a column of wavelengths, one for each spectrum, and their places above."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from finewave.text.plain_text import one_line
from finewave.viz.server.spectral_plot.spectra import RegionOfInterest, RegionSpectrum

if TYPE_CHECKING:
    from finewave.viz.map_position import MapPosition

_SEPARATORS = re.compile("[,;\t]")


@dataclass(frozen=True)
class PlacedSpectra:
    """The spectra of one place.

    Attributes
    ----------
    label : str
    region : RegionOfInterest
    spectra : dict of str to RegionSpectrum
        By what they are of: ``"result"``, ``"reference"``, ``"half-width"`` ...
    """

    label: str
    region: RegionOfInterest
    spectra: dict[str, RegionSpectrum]


def spectra_csv(title: str, places: Sequence[PlacedSpectra], position: MapPosition | None, in_nm: bool) -> str:
    """Return a table that `finewave.io.ground.spectral_library.read_spectra` reads again.

    Parameters
    ----------
    title : str
        Of the file that they are from.
    places : sequence of PlacedSpectra
    position : MapPosition, optional
        Of the image whose pixels regions count.
    in_nm : bool
        Whether the bands have wavelengths; otherwise they are numbered.

    Returns
    -------
    str
        Lines that begin with ``#``, the names of the columns, then a row for each wavelength of any of the spectra;
        ``nan`` where one has no value.
    """
    text = io.StringIO()
    text.write(f"# spectra of {one_line(title)}; regions are means over their pixels\n")
    for place in places:
        region = place.region
        where = f"columns {region.x0} to {region.x1 - 1}, rows {region.y0} to {region.y1 - 1}"
        if region.x1 - region.x0 == region.y1 - region.y0 == 1:
            where = f"column {region.x0}, row {region.y0}"
        centre = (region.x0 + region.x1) / 2, (region.y0 + region.y1) / 2
        on_map = "" if position is None else f"; centre {one_line(position.words(*centre))}"
        text.write(f"# {place.label}: {where}{on_map}\n")
    columns = [(f"{place.label} {name}", each) for place in places for name, each in place.spectra.items()]
    axis = sorted({round(float(at), 6) for _, each in columns for at in each.axis})
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["wavelength_nm" if in_nm else "band", *(_SEPARATORS.sub(" ", name) for name, _ in columns)])
    values = [
        {round(float(at), 6): float(value) for at, value in zip(each.axis, each.mean, strict=True)}
        for _, each in columns
    ]
    for at in axis:
        writer.writerow([f"{at:g}", *(f"{column.get(at, np.nan):.7g}" for column in values)])
    return text.getvalue()
