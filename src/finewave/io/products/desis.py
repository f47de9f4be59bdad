"""DESIS on the International Space Station, levels 1B to 2A: ``DESIS-HSI-...-SPECTRAL_IMAGE.tif`` and its XML."""

from __future__ import annotations

import re
from pathlib import Path

import xarray as xr

from finewave.acquisition import date_attribute, date_in_name
from finewave.errors import InputError
from finewave.io.formats.gdal.raster import open_raster
from finewave.io.open_options import OpenOptions
from finewave.io.products.common.dlr_metadata import bands_of, metadata_beside, read_xml, start_of

_NAME = re.compile(
    r"(?P<product>DESIS-HSI-L(?P<level>1A|1B|1C|2A)-.*)-(?P<what>SPECTRAL_IMAGE|METADATA)\.(?:TIF|TIFF|IMG|BSQ|XML)$",
    re.IGNORECASE,
)
_REFLECTANCE_GAIN = 1e-4


def matches(path: Path) -> bool:
    """Whether a path is a product's folder, metadata or spectral image."""
    return _image(path) is not None


def _image(path: Path) -> tuple[Path, re.Match[str]] | None:
    if path.is_file():
        own = _NAME.match(path.name)
        if own is None:
            return None
        if own["what"].upper() == "SPECTRAL_IMAGE":
            return path, own
        files, product = list(path.parent.iterdir()), own["product"]
    elif path.is_dir():
        files, product = list(path.iterdir()), None
    else:
        return None
    images = [(each, match) for each in sorted(files) if (match := _NAME.match(each.name))]
    images = [(each, match) for each, match in images if match["what"].upper() == "SPECTRAL_IMAGE"]
    matching = [pair for pair in images if product is None or pair[1]["product"] == product]
    return matching[0] if len(matching) == 1 else None


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open the spectral image of a product.

    Parameters
    ----------
    path : pathlib.Path
        The folder, ``-METADATA.xml`` or the spectral image.

    Returns
    -------
    xarray.DataArray
        Reflectance of level 2A, otherwise radiance in mW/(cm2 sr um), which ``attrs["quantity"]`` says; lazy. Level 2A
        is numbers x 0.0001 where the metadata state no other gain.
    """
    located = _image(path)
    if located is None:
        raise InputError(f"{path} holds no DESIS spectral image")
    image, name = located
    metadata = metadata_beside(image, f"{name['product']}-METADATA.xml")
    root = read_xml(metadata)
    bands = bands_of(root, metadata)
    reflectance = name["level"].upper() == "2A"
    gains = tuple(_REFLECTANCE_GAIN if reflectance and band.gain == 1 else band.gain for band in bands)
    return open_raster(
        image,
        "DESIS product",
        options,
        stated=(gains, tuple(band.offset for band in bands)),
        wavelengths=[band.centre for band in bands],
        fwhm=None if any(not band.width > 0 for band in bands) else [band.width for band in bands],
        attrs={
            "sensor": "desis",
            "product": name["product"],
            "quantity": "reflectance" if reflectance else "radiance in mW/(cm2 sr um)",
            **date_attribute(start_of(root), date_in_name(name["product"])),
        },
    )
