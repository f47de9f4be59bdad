"""GDAL's environment: no messages, bounded memory, no network for local files."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from finewave.io.network.location import CONNECT_SECONDS, REQUEST_SECONDS, RETRIES, leads_to_network

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
        with warnings.catch_warnings(), rasterio.Env(**network_options(source)):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            # silence rioxarray's warning about scales it does not apply; they are applied here
            warnings.filterwarnings("ignore", message="(Scales|Offsets) differ across bands")
            yield
    finally:
        logger.propagate = propagate
        logger.setLevel(level)


def network_options(source: object) -> dict[str, object]:
    """Return options of GDAL: waits that are bounded, or no network at all."""
    return dict(_OF_THE_NETWORK if leads_to_network(source) else _OF_THIS_MACHINE)


@contextmanager
def small_gdal_cache() -> Iterator[None]:
    """Bound the memory that GDAL keeps blocks in."""
    import rasterio

    with rasterio.Env(GDAL_CACHEMAX=_GDAL_CACHE_BYTES):
        yield
