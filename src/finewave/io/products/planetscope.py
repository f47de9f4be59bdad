"""PlanetScope scenes: ``*_AnalyticMS[_SR][_8b].tif``, their metadata (XML) and usable data mask (``*_udm2.tif``)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from finewave.acquisition import date_attribute, date_in_name, utc
from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.gdal.gdal_access import driver_of, quiet_gdal
from finewave.io.formats.gdal.raster import either, open_raster
from finewave.io.formats.values.lazy import Slices
from finewave.io.open_options import OpenOptions
from finewave.io.products.common.cloud_masks import UDM2_BANDS, cloud_reader, no_clouds_known
from finewave.io.products.common.dlr_metadata import read_xml
from finewave.physics.sensors.satellites import nominal_bands

_NAME = re.compile(
    r"(?P<scene>\d{8}_\d{6}(?:_\w+?)?_3[AB])_(?:Ortho_)?AnalyticMS(?P<sr>_SR)?(?:_(?P<eight>8b))?"
    r"(?:_SR)?(?:_harmonized)?(?:_clip)?\.tif$",
    re.IGNORECASE,
)
_DATES = ("acquisitionDateTime", "acquisitionDate")
_INSTRUMENTS = ("PS2", "PS2.SD", "PSB.SD")
_FOUR = ("blue", "green", "red", "nir")
_SURFACE_SCALE = 1e-4
NODATA = 0.0
# Of UDM2's last band: black fill, and numbers that are not to be trusted; bit 1 is a cloud, which is an image, too.
_UNUSABLE_BITS = 0b11111101


def matches(path: Path) -> bool:
    """Whether a path is a scene's image, or a folder with one."""
    return bool(_images(path))


def _images(path: Path) -> list[Path]:
    if path.is_dir():
        return [each for each in sorted(path.iterdir()) if _NAME.match(each.name)]
    return [path] if path.is_file() and _NAME.match(path.name) else []


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open the image of a scene.

    Parameters
    ----------
    path : pathlib.Path
        The image, or a folder with one.

    Returns
    -------
    xarray.DataArray
        Surface reflectance (``_SR``: numbers x 0.0001), otherwise top-of-atmosphere reflectance by the metadata's
        coefficients; lazy. Pixels that UDM2 marks as unusable are missing; clouds are kept.

    Raises
    ------
    InputError
        There are several images, the image has neither 4 nor 8 bands, or one without ``_SR`` lacks its metadata.
    """
    import rasterio

    images = _images(path)
    if len(images) > 1:
        listed = ", ".join(each.name for each in images[:3]) + (", ..." if len(images) > 3 else "")
        raise InputError(f"{path} holds {len(images)} PlanetScope images; open one of them: {listed}")
    image = images[0]
    name = _NAME.match(image.name)
    assert name is not None  # it was found by its name
    with reading(image, "PlanetScope image"), quiet_gdal(), rasterio.open(image, driver=driver_of(image)) as dataset:
        count, size = dataset.count, (dataset.height, dataset.width)
    root = _metadata(image, name["scene"])
    instrument = _instrument(root) or ("PSB.SD" if count == 8 else "PS2")
    if count not in (4, 8):
        raise InputError(f"{image} has {count} bands; a PlanetScope image has 4 or 8")
    of_instrument = nominal_bands(f"planetscope-{(instrument if instrument in _INSTRUMENTS else 'PS2').lower()}")
    bands = nominal_bands("superdove") if count == 8 else {each: of_instrument[each] for each in _FOUR}
    surface = name["sr"] is not None or "_SR" in image.name.upper()
    if surface:
        factors: Any = _SURFACE_SCALE
    elif root is None:
        raise InputError(f"{image} lacks its metadata (*_metadata.xml) beside it, which say its scale; put it there")
    else:
        factors = _coefficients(root, count, image)
    return open_raster(
        image,
        "PlanetScope image",
        options,
        stated=(factors, None),
        hidden=either(_unusable(image, name["scene"], size), _clouds(image, name["scene"], size, options)),
        wavelengths=[float(centre) for centre, _ in bands.values()],
        fwhm=[float(width) for _, width in bands.values()],
        band_names=list(bands),
        attrs={
            "sensor": f"planetscope-{instrument.lower()}",
            "product": image.stem,
            "quantity": "surface reflectance" if surface else "reflectance at the top of the atmosphere",
            **date_attribute(_date(root), date_in_name(name["scene"])),
        },
    )


def _beside(image: Path, scene: str, word: str) -> Path | None:
    return next(iter(sorted(image.parent.glob(f"{scene}*{word}*"))), None)


def _metadata(image: Path, scene: str) -> Any:
    path = _beside(image, scene, "metadata*.xml")
    return None if path is None else read_xml(path)


def _instrument(root: Any) -> str | None:
    if root is None:
        return None
    for holder in root.iter("Instrument"):
        for each in holder.iter("shortName"):
            if each.text:
                return str(each.text).strip()
    return None


def _date(root: Any) -> str | None:
    texts = [] if root is None else [each.text for tag in _DATES for each in root.iter(tag)]
    return next((found for text in texts if (found := utc(text))), None)


def _coefficients(root: Any, count: int, image: Path) -> tuple[float, ...]:
    coefficients: dict[int, float] = {}
    with reading(image, "metadata of PlanetScope"):
        for holder in root.iter("bandSpecificMetadata"):
            fields = {child.tag: child.text for child in holder}
            if "bandNumber" in fields and "reflectanceCoefficient" in fields:
                coefficients[int(fields["bandNumber"])] = float(fields["reflectanceCoefficient"])
    if sorted(coefficients) != list(range(1, count + 1)):
        raise InputError(f"the metadata of {image} lack reflectanceCoefficient of some of its {count} bands")
    return tuple(coefficients[number] for number in range(1, count + 1))


def _clouds(image: Path, scene: str, size: tuple[int, int], options: OpenOptions) -> Any:
    """Return what reads where UDM2 says cloud, heavy haze or shadow; None unless that is asked for."""
    if not options.mask_clouds:
        return None
    path = _beside(image, scene, "udm2*.tif")
    if path is None:
        raise no_clouds_known(image, "usable data mask (*_udm2.tif)")
    return cloud_reader({path: UDM2_BANDS}, image, size)


def _unusable(image: Path, scene: str, size: tuple[int, int]) -> Any:
    """Return the mask from UDM2, None without one of the image's size."""
    import rasterio
    from rasterio.windows import Window

    path = _beside(image, scene, "udm2*.tif")
    if path is None:
        return None
    with reading(path, "usable data mask"), quiet_gdal(), rasterio.open(path, driver=driver_of(path)) as dataset:
        if (dataset.height, dataset.width) != size:
            raise InputError(f"{path} has other rows and columns than {image.name}; clip both or none")
        last = dataset.count

    def hidden(key: Slices) -> NDArray[np.bool_]:
        rows, columns = key[1].indices(size[0]), key[2].indices(size[1])
        window = Window.from_slices(slice(rows[0], rows[1]), slice(columns[0], columns[1]))
        with quiet_gdal(), rasterio.open(path, driver=driver_of(path)) as dataset:
            bits = dataset.read(last, window=window)
        return ((bits[:: rows[2], :: columns[2]] & _UNUSABLE_BITS) != 0)[None]

    return hidden
