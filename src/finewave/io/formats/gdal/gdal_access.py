"""How GDAL opens files: by which driver, with bounded memory, without messages, without a network for local files."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath

from finewave.io.network.location import CONNECT_SECONDS, REQUEST_SECONDS, RETRIES, leads_to_network, remote_of

# GDAL would take a twentieth of the machine's memory for blocks that are read or written a second time.
_GDAL_CACHE_BYTES = 128 * 2**20
# Network references in local files fail: no file matches, and no proxy listens at this address.
_OF_THIS_MACHINE = {"CPL_VSIL_CURL_ALLOWED_FILENAME": "/", "GDAL_HTTP_PROXY": "http://127.0.0.1:9"}
_OF_THE_NETWORK = {
    "GDAL_HTTP_TIMEOUT": REQUEST_SECONDS,
    "GDAL_HTTP_CONNECTTIMEOUT": CONNECT_SECONDS,
    "GDAL_HTTP_MAX_RETRY": RETRIES,
    "GDAL_HTTP_RETRY_DELAY": 1,
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
}
# GDAL goes by the content if no driver is named, and some contents lead to other files.
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


@contextmanager
def quiet_gdal(source: object = None) -> Iterator[None]:
    """Keep GDAL's remarks off stderr: missing georeference is normal here, errors are raised anyway.

    Parameters
    ----------
    source : str or pathlib.Path, optional
        Path that GDAL opens. Network access is disabled unless it is a network path.
    """
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    logger = logging.getLogger("rasterio")
    propagate, level = logger.propagate, logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        # waits that are bounded, or no network at all
        options = _OF_THE_NETWORK if leads_to_network(source) else _OF_THIS_MACHINE
        with warnings.catch_warnings(), rasterio.Env(**options):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            yield
    finally:
        logger.propagate = propagate
        logger.setLevel(level)


@contextmanager
def small_gdal_cache() -> Iterator[None]:
    """Bound the memory that GDAL keeps blocks in."""
    import rasterio

    with rasterio.Env(GDAL_CACHEMAX=_GDAL_CACHE_BYTES):
        yield
