"""Display colours of a raster's bands from GDAL, if set explicitly."""

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
        One per band, empty where a band has none; None if no band has one, or for named byte bands shown as red, green
        and blue: GDAL's drivers assign those colours to any three bytes per pixel.
    """
    colours = [_colour(each.name) for each in dataset.colorinterp]
    if not any(colours):
        return None
    by_default = set(dataset.dtypes) == {"uint8"} and colours[:3] == _BY_ITSELF and dataset.count in (3, 4)
    return None if by_default and any(dataset.descriptions) else colours


def _colour(name: str) -> str:
    plain = name.lower().replace("_", "")
    return plain if plain in _COLOURS else ""
