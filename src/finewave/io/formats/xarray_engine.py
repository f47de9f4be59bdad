"""Files that an installed engine of xarray opens: GRIB by cfgrib, for example."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from finewave.errors import InputError, unknown_name
from finewave.io.formats.containers.datasets import open_groups
from finewave.io.open_options import OpenOptions


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open a file with the engine that the user named.

    Parameters
    ----------
    options : OpenOptions
        What the user stated, including ``engine``.

    Returns
    -------
    xarray.DataArray
        The scene, lazy as far as the engine is.

    Raises
    ------
    InputError
        The engine is not installed, or cannot read the file.
    """
    engine = options.engine
    if not path.exists():
        raise InputError(f"no such file: {path}")
    known = [name for name in xr.backends.list_engines() if name != "store"]
    if engine not in known:
        raise unknown_name("xarray engine", str(engine), known)
    return open_groups(
        lambda: {"/": xr.open_dataset(path, engine=engine, cache=False, decode_coords="all", decode_times=False)},
        path,
        f"xarray dataset by {engine}",
        options,
    )


def engines_for(path: Path) -> list[str]:
    """Return the installed engines that claim to open a file."""
    engines = []
    for name, backend in xr.backends.list_engines().items():
        try:
            if backend.guess_can_open(str(path)):
                engines.append(name)
        except Exception:  # third-party engines may raise any error for other files
            continue
    return [name for name in engines if name not in ("rasterio", "store")]
