"""In what environment GDAL works: without its remarks, in bounded memory."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# GDAL would take a twentieth of the machine's memory for blocks that are read or written a second time.
_GDAL_CACHE_BYTES = 128 * 2**20


@contextmanager
def quiet_gdal() -> Iterator[None]:
    """Keep GDAL's remarks off stderr: missing georeference is normal here, errors are raised anyway."""
    from rasterio.errors import NotGeoreferencedWarning

    logger = logging.getLogger("rasterio")
    propagate, level = logger.propagate, logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            # rioxarray says that it leaves them alone; they are applied here.
            warnings.filterwarnings("ignore", message="(Scales|Offsets) differ across bands")
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
