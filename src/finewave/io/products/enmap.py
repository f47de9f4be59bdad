"""EnMAP products of level 1B, 1C and 2A: ``ENMAP01-...-SPECTRAL_IMAGE.TIF`` and ``-METADATA.XML``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from finewave.acquisition import date_attribute, date_in_name
from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.gdal.gdal_access import driver_of, quiet_gdal
from finewave.io.formats.gdal.raster import open_raster
from finewave.io.open_options import OpenOptions
from finewave.io.products.common.cloud_masks import cloud_reader, no_clouds_known
from finewave.io.products.common.dlr_metadata import Band, bands_of, metadata_beside, read_xml, start_of

_NAME = re.compile(
    r"(?P<product>ENMAP\d*-.*?L(?P<level>1B|1C|2A)-.*)-"
    r"(?P<what>SPECTRAL_IMAGE(?:_VNIR|_SWIR)?|METADATA)\.(?:TIF|TIFF|BIL|BSQ|BIP|IMG|XML)$",
    re.IGNORECASE,
)


def matches(path: Path) -> bool:
    """Whether a path is a product's folder, metadata or spectral image."""
    return bool(_images(path))


def _images(path: Path) -> list[tuple[Path, re.Match[str]]]:
    files = path.iterdir() if path.is_dir() else path.parent.glob("*") if _NAME.match(path.name) else ()
    named = [(each, match) for each in sorted(files) if each.is_file() and (match := _NAME.match(each.name))]
    images = [(each, match) for each, match in named if match["what"].upper() != "METADATA"]
    if path.is_dir():
        return images
    own = _NAME.match(path.name)
    if own is None or not path.is_file():
        return []
    if own["what"].upper() != "METADATA":
        return [(path, own)]
    return [(each, match) for each, match in images if match["product"] == own["product"]]


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open the spectral image of a product.

    Parameters
    ----------
    path : pathlib.Path
        The folder, ``-METADATA.XML`` or the spectral image.

    Returns
    -------
    xarray.DataArray
        Reflectance of level 2A, radiance in W/(m2 sr nm) of level 1, which ``attrs["quantity"]`` says: numbers x gain +
        offset of the metadata; lazy. Channels that the metadata do not expect to have values are flagged.

    Raises
    ------
    InputError
        The folder holds several images (VNIR and SWIR of level 1B, or several products), or metadata are missing.
    """
    images = _images(path)
    if len(images) > 1:
        listed = ", ".join(each.name for each, _ in images)
        raise InputError(f"{path} holds several spectral images; open one of them: {listed}")
    image, match = images[0]
    metadata = metadata_beside(image, f"{match['product']}-METADATA.XML")
    root = read_xml(metadata)
    bands = bands_of(root, metadata)
    used = _bands_in(image, bands, match["what"].upper())
    reflectance = match["level"].upper() == "2A"
    return open_raster(
        image,
        "EnMAP product",
        options,
        stated=(_all([band.gain for band in used]), _all([band.offset for band in used])),
        wavelengths=[band.centre for band in used],
        fwhm=None if any(not band.width > 0 for band in used) else [band.width for band in used],
        good_bands=_expected(root, used),
        hidden=_clouds(image, match["product"]) if options.mask_clouds else None,
        attrs={
            "sensor": "enmap",
            "product": match["product"],
            "quantity": "reflectance" if reflectance else "radiance in W/(m2 sr nm)",
            **date_attribute(start_of(root), date_in_name(match["product"])),
        },
    )


def _clouds(image: Path, product: str) -> Any:
    """Return what reads where the quality layers say cloud, cloud shadow or cirrus."""
    import rasterio

    wanted = re.compile(rf"{re.escape(product)}-QL_QUALITY_(CLOUD|CLOUDSHADOW|CIRRUS)\.TIFF?$", re.IGNORECASE)
    layers = {each: (1,) for each in sorted(image.parent.iterdir()) if wanted.match(each.name)}
    if not layers:
        raise no_clouds_known(image, "QL_QUALITY_CLOUD.TIF")
    with reading(image, "EnMAP product"), quiet_gdal(), rasterio.open(image, driver=driver_of(image)) as dataset:
        size = (dataset.height, dataset.width)
    return cloud_reader(layers, image, size)


def _bands_in(image: Path, bands: list[Band], detector: str) -> list[Band]:
    """Return the bands of an image: all, or of level 1B the first ones (VNIR) or the last ones (SWIR)."""
    import rasterio

    with reading(image, "EnMAP product"), quiet_gdal(), rasterio.open(image, driver=driver_of(image)) as dataset:
        count = dataset.count
    if count > len(bands) or (count < len(bands) and not detector.endswith(("_VNIR", "_SWIR"))):
        raise InputError(f"{image} has {count} bands, its metadata {len(bands)}; are they of one product?")
    return bands[-count:] if detector.endswith("_SWIR") else bands[:count]


def _expected(root: Any, bands: list[Band]) -> np.ndarray[Any, Any] | None:
    """Return which bands the lists of expected channels name; None without lists."""
    texts = [each.text for each in root.iter("expectedChannelsList") if each.text]
    if not texts:
        return None
    expected = {int(number) for text in texts for number in re.findall(r"\d+", text)}
    return np.asarray([band.number in expected for band in bands])


def _all(values: list[float]) -> float | tuple[float, ...]:
    return values[0] if len(set(values)) == 1 else tuple(values)
