"""What GDAL's metadata says about bands: wavelengths, widths, names, the bad-band list."""

from __future__ import annotations

from typing import Any

import numpy as np

from finewave.wavelengths import nanometres_per_unit, to_nanometres, wavelength_in_text

_LIST_KEYS = {"wavelength", "wavelengths", "wavelength_units", "wavelength units", "fwhm", "bbl"}


def band_metadata(dataset: Any) -> dict[str, Any]:
    """Collect what an open rasterio dataset says about its bands.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        Open for reading.

    Returns
    -------
    dict
        ``wavelengths``, ``fwhm`` (nm), ``good_bands``, ``band_names``, each None when unknown, and ``_used``:
        the dataset tags that were understood.
    """
    bands = [{k.lower(): v for k, v in dataset.tags(i).items()} for i in dataset.indexes]
    imagery = [dataset.tags(i, ns="IMAGERY") for i in dataset.indexes]
    envi = dataset.tags(ns="ENVI")
    used = {key for key in {**dataset.tags(), **envi} if key.lower() in _LIST_KEYS}
    whole = {key.lower(): value for key, value in {**dataset.tags(), **envi}.items()}
    descriptions = dataset.descriptions
    unit = next((b[k] for b in bands for k in ("wavelength_units", "wavelength_unit") if k in b), None)
    unit = unit or whole.get("wavelength_units") or whole.get("wavelength units")

    def per_band(tags: list[dict[str, str]], *names: str) -> list[float] | None:
        found = [next((each[name] for name in names if name in each), None) for each in tags]
        try:
            return [float(each) for each in found] if all(each is not None for each in found) else None  # type: ignore[arg-type]  # None was excluded
        except ValueError:
            return None

    def as_list(name: str) -> list[float] | None:
        values = numbers_in_braces(whole.get(name))
        return values if values is not None and len(values) == dataset.count else None

    def first_known(*candidates: tuple[Any, str | None]) -> Any:
        return next(
            (nm for values, each in candidates if values and (nm := to_nanometres(values, each)) is not None),
            None,
        )

    in_names: list[float | None] = [wavelength_in_text(each) for each in descriptions]
    # GDAL rounds ENVI wavelengths to whole nanometres in IMAGERY, so that the other places come first.
    wavelengths = first_known(
        (as_list("wavelength") or as_list("wavelengths"), unit),
        (per_band(bands, "wavelength_nm"), "nm"),
        (per_band(bands, "wavelength", "center_wavelength", "central_wavelength"), unit),
        (per_band(imagery, "CENTRAL_WAVELENGTH_UM"), "um"),
        (in_names if None not in in_names else None, "nm"),
    )
    fwhm_unit = unit
    if nanometres_per_unit(unit) is None and wavelengths is not None:
        # Widths of 10 look like micrometres by themselves; their unit is that of the wavelengths.
        stated = as_list("wavelength") or as_list("wavelengths") or per_band(bands, "wavelength")
        fwhm_unit = "um" if stated and max(stated) < 100 else "nm"
    fwhm = first_known(
        (as_list("fwhm"), fwhm_unit),
        (per_band(bands, "fwhm_nm"), "nm"),
        (per_band(bands, "fwhm"), fwhm_unit),
        (per_band(imagery, "FWHM_UM"), "um"),
    )
    good = as_booleans(as_list("bbl") or per_band(bands, "bbl"), dataset.count)
    return {
        "wavelengths": wavelengths,
        "fwhm": fwhm,
        "good_bands": good,
        "band_names": _names(descriptions, in_names),
        "_used": used,
    }


def _names(descriptions: tuple[str | None, ...], in_names: list[float | None]) -> list[str] | None:
    """Band names that say more than the wavelength, which is kept on its own."""
    if not any(descriptions):
        return None
    if (
        all(text == default_name(nm) for text, nm in zip(descriptions, in_names, strict=True) if nm is not None)
        and None not in in_names
    ):
        return None
    return [text or f"Band {i}" for i, text in enumerate(descriptions, start=1)]


def default_name(wavelength: float) -> str:
    """Return the description of a band that is known only by its wavelength in nm."""
    return f"{wavelength} nm"


def numbers_in_braces(text: str | None) -> list[float] | None:
    """Read a list as ENVI writes it: ``{400.0, 410.0}``; None when it is none."""
    if not text:
        return None
    try:
        return [float(each) for each in text.strip().strip("{}").replace("\n", " ").split(",") if each.strip()]
    except ValueError:
        return None


def as_booleans(values: list[float] | None, count: int) -> np.ndarray[Any, Any] | None:
    """Read a bad-band list (1 good, 0 bad) of the right length; None otherwise."""
    if values is None or len(values) != count:
        return None
    return np.asarray(values) != 0
