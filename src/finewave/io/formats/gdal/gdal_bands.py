"""Facts about bands from GDAL: wavelengths, widths, names, bad-band list, display colours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from finewave.io.formats.values.band_lists import Listed, describe_bands, is_about_bands, kind_of, listed_in
from finewave.wavelengths import to_nanometres, wavelength_in_text

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
    of_file = listed_in(whole)
    used = {each.name for each in of_file}
    lists: list[Listed] = []
    bands = [dataset.tags(index) for index in dataset.indexes]
    lists += _one_a_band(bands, lambda name: name)
    imagery = [dataset.tags(index, ns="IMAGERY") for index in dataset.indexes]
    lists += _one_a_band(imagery, lambda name: dict(_IMAGERY).get(name.upper(), ""))
    descriptions = dataset.descriptions
    in_names: list[float | None] = [wavelength_in_text(each) for each in descriptions]
    if None not in in_names:
        lists.append(Listed("wavelength", in_names, "nm"))
    if dataset.driver == "ENVI":
        # GDAL repeats lists of the header in tags and names of the bands, also those that do not fit
        lists = [each for each in lists if each.kind not in {other.kind for other in of_file}]
        names = dataset.tags(ns="ENVI").get("band_names", "").strip("{}").split(",")
        in_header = [wavelength_in_text(name) for name in names]
        if len(names) == dataset.count and None not in in_header:
            lists.append(Listed("wavelength", in_header, "nm"))
    description = describe_bands(
        [each for each in of_file + lists if each.kind != "name"],
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
    """Return the lists in the tags of the bands; a band without a flag is good."""
    names = dict.fromkeys(name for band in bands for name in band if is_about_bands(name_of(name)))
    units = [next((band[key] for key in band if kind_of(key) == "unit"), None) for band in bands]
    lists = []
    for name in names:
        kind = kind_of(name_of(name))
        values = [band.get(name) for band in bands]
        if kind in ("good", "bad"):
            values = [each or ("1" if kind == "good" else "0") for each in values]
        if None in values and kind in ("name", "perhaps"):
            continue
        stated = [each for each in values if each is not None]
        if kind == "wavelength" and len(set(units)) > 1 and len(stated) == len(units):
            lists.append(Listed(name_of(name), _each_in_its_unit(stated, units), "nm"))
        else:
            lists.append(Listed(name_of(name), stated, units[0] if kind == "wavelength" else None))
    return [each for each in lists if each.kind != "unit"]


def _each_in_its_unit(values: list[str], units: list[str | None]) -> list[Any]:
    """Return wavelengths in nm of bands that state different units; texts where one cannot be read."""
    try:
        in_nm = [to_nanometres([float(value)], unit) for value, unit in zip(values, units, strict=True)]
    except ValueError:
        return values
    return [value if nm is None else nm[0] for value, nm in zip(values, in_nm, strict=True)]


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


def colours_of(dataset: Any, *, known: bool = False) -> list[str] | None:
    """Return the colour interpretation of the bands of an open rasterio dataset.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        Open for reading.
    known : bool
        The bands have wavelengths.

    Returns
    -------
    list of str or None
        One per band, empty where a band has none; None if no band has one, or where they were not chosen: GDAL's
        drivers call any three bytes per pixel red, green and blue, which names and wavelengths may contradict.
    """
    found = [_colour(each.name) for each in dataset.colorinterp]
    if not any(found):
        return None
    unasked = set(dataset.dtypes) == {"uint8"} and found[:3] == _BY_ITSELF and dataset.count in (3, 4)
    # those of ENVI's "default bands" are how a viewer showed it, often in false colour
    by_viewer = dataset.driver == "ENVI"
    return None if by_viewer or (unasked and (known or any(dataset.descriptions))) else found


def _colour(name: str) -> str:
    plain = name.lower().replace("_", "")
    return plain if plain in _COLOURS else ""
