"""Plausibility of georeference and wavelengths: implausible values are dropped with a warning."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finewave.crs_text import parse_crs
from finewave.io.formats.values.stated import without_numbers
from finewave.io.precheck import check_declared
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    import xarray as xr


def drop_implausible(scene: xr.DataArray, path: object) -> xr.DataArray:
    """Return a scene without implausible transform or wavelengths.

    Parameters
    ----------
    scene : xarray.DataArray
        As a reader has opened it.
    path : pathlib.Path or str
        For messages.

    Returns
    -------
    xarray.DataArray
        ``scene`` itself if all is plausible.

    Raises
    ------
    InputError
        The image is far larger than possible for its file.

    Warns
    -----
    FinewaveWarning
        The transform is not finite or cannot be inverted; wavelengths are not finite, not positive, or equal.
    """
    if not scene.variable._in_memory:
        check_declared(Path(str(path)), scene.size * int(np.dtype(scene.encoding.get("dtype", np.uint8)).itemsize))
    close = getattr(scene, "_close", None)
    encoding, attrs = dict(scene.encoding), _with_usable_crs(scene, without_numbers(scene.attrs), path)
    scene.attrs = attrs
    checked = _with_usable_wavelengths(_with_usable_place(scene, path), path)
    if checked is not scene:
        checked.encoding, checked.attrs = encoding, attrs
        checked.set_close(close)
    return checked


def _with_usable_place(scene: xr.DataArray, path: object) -> xr.DataArray:
    from finewave.scene import scene_crs, scene_transform, with_georeference

    if not _has_usable_crs(scene):
        _warn(f"{path}: its CRS is not understood and was left out; state it again in the file")
        scene = scene.drop_vars("spatial_ref")
    transform = scene_transform(scene)
    if transform is None or (np.all(np.isfinite(tuple(transform))) and transform.determinant != 0):
        return scene
    _warn(
        f"{path}: its transform ({', '.join(f'{each:g}' for each in tuple(transform)[:6])}) leads nowhere; it is left "
        "out, and so will results be without a place; put a transform into the file that maps pixels to places"
    )
    crs = scene_crs(scene)
    placed = [name for name in ("x", "y", "spatial_ref") if name in scene.coords]
    return with_georeference(scene.drop_vars(placed), crs, None)


def _with_usable_crs(scene: xr.DataArray, attrs: dict[Any, Any], path: object) -> dict[Any, Any]:
    """Leave out an attribute ``crs`` that defines none: it is the CRS where nothing else states one."""
    from rasterio.errors import CRSError

    stated = attrs.get("crs")
    try:
        if stated is not None:
            parse_crs(int(stated) if isinstance(stated, str) and re.fullmatch(r"\d{4,8}", stated) else stated)
    except (CRSError, TypeError, ValueError):
        kept = {name: value for name, value in attrs.items() if name != "crs"}
        mapping = scene.coords["spatial_ref"].attrs if "spatial_ref" in scene.coords else {}
        if not {"spatial_ref", "crs_wkt"}.intersection(mapping):
            _warn(
                f"{path}: its attribute crs is not understood and was left out ({_short(stated)}); put a code "
                "such as EPSG:32632 into the file to have one"
            )
        return kept
    return attrs


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 40 else text[:37] + "..."


def _has_usable_crs(scene: xr.DataArray) -> bool:
    """Return whether the CRS can be read, if there is one."""
    if "spatial_ref" not in scene.coords:
        return True
    from rasterio.errors import CRSError

    from finewave.scene import scene_crs

    try:
        scene_crs(scene)
    except CRSError:
        return False
    return True


def _with_usable_wavelengths(scene: xr.DataArray, path: object) -> xr.DataArray:
    if "wavelength" not in scene.coords:
        return scene
    wavelengths = np.asarray(scene.coords["wavelength"].values, np.float64)
    if not np.all(np.isfinite(wavelengths)) or np.any(wavelengths <= 0):
        wrong = wavelengths[~(np.isfinite(wavelengths) & (wavelengths > 0))]
        _warn(f"{path}: {wrong[0]:g} is not a wavelength; none is used; state them with wavelengths= or --wavelengths")
        return scene.drop_vars([name for name in ("wavelength", "fwhm") if name in scene.coords])
    different = len(np.unique(wavelengths))
    if different == 1 and len(wavelengths) > 1:
        _warn(
            f"{path}: all of its {len(wavelengths)} bands have the wavelength {wavelengths[0]:g} nm; none is used; "
            "state them with wavelengths= or --wavelengths"
        )
        return scene.drop_vars([name for name in ("wavelength", "fwhm") if name in scene.coords])
    if different < len(wavelengths):
        _warn(f"{path}: some of its bands have the same wavelength; check them, or state others with wavelengths=")
    return scene


def _warn(message: str) -> None:
    warnings.warn(message, FinewaveWarning, stacklevel=5)
