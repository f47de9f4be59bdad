"""Facts about bands from GDAL: wavelengths, widths, names, bad-band list, display colours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from finewave.io.formats.band_lists import Listed, describe_bands, is_about_bands, listed_in
from finewave.wavelengths import wavelength_in_text

# In this order, as GDAL rounds ENVI wavelengths to whole nanometres in IMAGERY.
_IMAGERY = (("CENTRAL_WAVELENGTH_UM", "wavelength_um"), ("FWHM_UM", "fwhm_um"))
_COLOURS = {"red", "green", "blue", "coastal", "yellow", "rededge", "nir", "swir"}
_BY_ITSELF = ["red", "green", "blue"]


def band_metadata(dataset: Any, *, wavelengths_given: bool = False, path: object = None) -> dict[str, Any]:
    """Collect facts about the bands of an open rasterio dataset.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        Open for reading.
    wavelengths_given : bool
        The user states wavelengths.
    path : path, optional
        For messages, where the dataset has another name than the user gave.

    Returns
    -------
    dict
        ``wavelengths``, ``fwhm`` (nm), ``good_bands``, ``band_names``, each None when unknown, and ``_used``:
        the dataset tags that were understood.
    """
    whole = {**dataset.tags(), **dataset.tags(ns="ENVI")}
    lists = listed_in(whole)
    used = {each.name for each in lists}
    bands = [dataset.tags(index) for index in dataset.indexes]
    lists += _one_a_band(bands, lambda name: name)
    imagery = [dataset.tags(index, ns="IMAGERY") for index in dataset.indexes]
    lists += _one_a_band(imagery, lambda name: dict(_IMAGERY).get(name.upper(), ""))
    descriptions = dataset.descriptions
    in_names: list[float | None] = [wavelength_in_text(each) for each in descriptions]
    if None not in in_names:
        lists.append(Listed("wavelength", in_names, "nm"))
    description = describe_bands(
        [each for each in lists if each.kind != "name"],
        dataset.count,
        path or dataset.name,
        wavelengths_given=wavelengths_given,
    )
    return {
        "wavelengths": description.get("wavelengths"),
        "fwhm": description.get("fwhm"),
        "good_bands": description.get("good_bands"),
        "band_names": _names(descriptions, in_names),
        "_used": used,
    }


def _one_a_band(bands: list[dict[str, str]], name_of: Callable[[str], str]) -> list[Listed]:
    """Return the lists of which every band has one entry in its tags."""
    names = [name for name in bands[0] if is_about_bands(name_of(name))] if bands else []
    unit = next((band[key] for band in bands for key in band if Listed(key, ()).kind == "unit"), None)
    lists = []
    for name in names:
        values = [band.get(name) for band in bands]
        if None not in values:
            own = Listed(name_of(name), values)
            lists.append(own if own.stated_unit or own.kind == "unit" else Listed(own.name, values, unit))
    return [each for each in lists if each.kind != "unit"]


def _names(descriptions: tuple[str | None, ...], in_names: list[float | None]) -> list[str] | None:
    """Band names, unless they only repeat the wavelength."""
    if not any(descriptions):
        return None
    if (
        all(text == default_name(nm) for text, nm in zip(descriptions, in_names, strict=True) if nm is not None)
        and None not in in_names
    ):
        return None
    return [text or f"Band {i}" for i, text in enumerate(descriptions, start=1)]


def default_name(wavelength: float) -> str:
    """Return the description of a band without name, by its wavelength in nm."""
    return f"{wavelength} nm"


def numbers_in_braces(text: str | None) -> list[float] | None:
    """Read a list as ENVI writes it: ``{400.0, 410.0}``; None if it is not one."""
    if not text:
        return None
    try:
        return [float(each) for each in text.strip().strip("{}").replace("\n", " ").split(",") if each.strip()]
    except ValueError:
        return None


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
    found = [_colour(each.name) for each in dataset.colorinterp]
    if not any(found):
        return None
    unasked = set(dataset.dtypes) == {"uint8"} and found[:3] == _BY_ITSELF and dataset.count in (3, 4)
    return None if unasked and any(dataset.descriptions) else found


def _colour(name: str) -> str:
    plain = name.lower().replace("_", "")
    return plain if plain in _COLOURS else ""
