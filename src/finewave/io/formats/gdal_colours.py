"""What GDAL says the bands of a raster are shown as, where that was somebody's choice."""

from __future__ import annotations

from typing import Any

_COLOURS = {"red", "green", "blue", "coastal", "yellow", "rededge", "nir", "swir"}
_BY_ITSELF = ["red", "green", "blue"]


def colours_of(dataset: Any) -> list[str] | None:
    """Return the colour interpretation of the bands of an open rasterio dataset.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        Open for reading.

    Returns
    -------
    list of str or None
        One a band, empty where a band has none; None where no band has one, or where bytes are red, green and blue and
        have names: GDAL's drivers give three bytes per pixel those colours by themselves, whatever they are.
    """
    colours = [_colour(each.name) for each in dataset.colorinterp]
    if not any(colours):
        return None
    by_default = set(dataset.dtypes) == {"uint8"} and colours[:3] == _BY_ITSELF and dataset.count in (3, 4)
    return None if by_default and any(dataset.descriptions) else colours


def _colour(name: str) -> str:
    plain = name.lower().replace("_", "")
    return plain if plain in _COLOURS else ""
