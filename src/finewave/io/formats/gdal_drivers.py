"""Which of GDAL's drivers may open a file: GDAL goes by the content, and some contents lead to other files."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path, PurePosixPath

from finewave.io.network.location import remote_of

_JPEG_2000 = ("JP2OpenJPEG", "JP2ECW", "JP2KAK", "JP2MrSID")
_OF_EXTENSION = {
    ".tif": ("GTiff",),
    ".tiff": ("GTiff",),
    ".gtiff": ("GTiff",),
    ".png": ("PNG",),
    ".jpg": ("JPEG",),
    ".jpeg": ("JPEG",),
    ".jp2": _JPEG_2000,
    ".j2k": _JPEG_2000,
    ".ntf": ("NITF",),
    ".nitf": ("NITF",),
    ".nsf": ("NITF",),
    ".pix": ("PCIDSK",),
    ".rst": ("RST",),
    ".bmp": ("BMP",),
    ".vrt": ("VRT",),  # which leads to other files, as whoever names one knows
    ".til": ("TIL",),  # to its tiles, likewise
}
_LEAD_ELSEWHERE = frozenset(
    (
        # formats whose contents may trigger network access
        *("WMS", "WCS", "WMTS", "HTTP", "EEDA", "EEDAI", "PLMOSAIC", "STACIT", "STACTA", "DAAS", "OGCAPI"),
        *("WFS", "OAPIF", "CARTO", "Elastic", "AmigoCloud", "PLSCENES", "NGW", "CSW", "MVT", "ESRIC", "GeoRaster"),
        # nearly any text or document is an image to them
        *("NGSGEOID", "XYZ", "PDF", "OSM", "CSV"),
        # it names other files of this machine
        *("VRT", "DERIVED", "GTI", "TIL", "MRF", "KMLSUPEROVERLAY", "RPFTOC", "ECRGTOC", "OZI", "PDS", "PDS4"),
        *("ISIS2", "ISIS3", "VICAR", "DIMAP", "RS2", "TSX", "SAFE", "SENTINEL2", "GNMFile", "GNMDatabase", "CPG"),
        *("PAux", "MFF", "MFF2", "FAST", "NDF", "DOQ2", "GenBin", "JAXAPALSAR", "SAR_CEOS", "COASP", "Rasterlite"),
        *("OGR_VRT", "MSSQLSpatial", "PostgreSQL", "PostGISRaster", "MySQL", "ODBC", "SRP", "ADRG", "BAG"),
        # read by separate libraries here, after a check of their references
        *("HDF5", "HDF5Image", "netCDF", "Zarr", "S102", "S104", "S111"),
    )
)


def driver_of(path: str | Path) -> str:
    """Return the drivers allowed to open a file: the one of its extension, otherwise those without external references.

    Parameters
    ----------
    path : str or pathlib.Path
        As GDAL takes it; ``/vsizip/`` and ``/vsitar/`` paths too.

    Returns
    -------
    str
        For ``rasterio.open(path, driver=...)``.

    Raises
    ------
    rasterio.errors.RasterioIOError
        None of those that may opens it.
    """
    from rasterio.env import Env
    from rasterio.io import DatasetReader

    suffix = PurePosixPath(str(path)).suffix if (remote := remote_of(path)) is None else remote.suffix
    named = [each for each in _OF_EXTENSION.get(suffix.lower(), ()) if each in _drivers()]
    if len(named) == 1:
        return named[0]
    drivers = named or sorted(_drivers() - _LEAD_ELSEWHERE)
    with Env(), DatasetReader(path, driver=drivers) as dataset:  # without one, GDAL itself writes to stderr
        return str(dataset.driver)


@lru_cache(maxsize=1)
def _drivers() -> frozenset[str]:
    """Return the names of the available drivers."""
    from rasterio.env import Env

    with Env() as environment:
        return frozenset(environment.drivers())
