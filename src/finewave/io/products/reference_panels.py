"""Line scans of Specim and HySpex cameras with their white and dark references: reflectance relative to the panel."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.io.formats import envi
from finewave.io.formats.envi_header import header_fields, header_of
from finewave.io.formats.values.decoding import Decoding
from finewave.io.formats.values.lazy import LazyValues, Slices
from finewave.io.open_options import OpenOptions
from finewave.scene import make_scene
from finewave.warnings import FinewaveWarning

_WHITE = ("WHITEREF_{}", "{}_WHITEREF", "{}_white", "white_{}")
_DARK = ("DARKREF_{}", "{}_DARKREF", "{}_dark", "dark_{}")
_DARK_OF_WHITE = ("WHITEDARKREF_{}",)
_EXPOSURE = ("tint", "integration time", "exposure time", "exposure")


def matches(path: Path) -> bool:
    """Return whether a path is a scan with a white reference beside it, or a folder with one."""
    return _scan(path) is not None


def _scan(path: Path) -> Path | None:
    """Return the header of the scan."""
    if path.is_dir():
        folders = [each for each in (path, path / "capture") if each.is_dir()]
        headers = [_headers(folder) for folder in folders]
        scans = [header for each in headers for header in each.values() if _has_references(header, each)]
        return scans[0] if len(scans) == 1 else None
    if not path.is_file() or path.suffix.lower() in (".tif", ".nc", ".png", ".jpg", ".mat", ".h5"):
        return None
    header = path if path.suffix.lower() == ".hdr" else header_of(path)
    return header if header is not None and _has_references(header, _headers(header.parent)) else None


def _headers(folder: Path) -> dict[str, Path]:
    return {each.name.lower(): each for each in sorted(folder.iterdir()) if each.suffix.lower() == ".hdr"}


def _has_references(header: Path, beside: Mapping[str, Path]) -> bool:
    return _reference(header, _WHITE, beside) is not None


def _reference(header: Path, patterns: tuple[str, ...], beside: Mapping[str, Path]) -> Path | None:
    names = [f"{pattern.format(header.stem)}.hdr".lower() for pattern in patterns]
    return next((beside[name] for name in names if name in beside), None)


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open a scan as reflectance relative to its white reference.

    Parameters
    ----------
    path : pathlib.Path
        Header or data file of the scan, or a folder with one scan.

    Returns
    -------
    xarray.DataArray
        (scan - dark) / (white - dark) in each column and band, references averaged over their lines, each divided by
        its exposure where headers state it; lazy. Missing where the white reference is not brighter than the dark.

    Raises
    ------
    InputError
        A reference has other columns or bands.
    """
    header = _scan(path)
    if header is None:
        raise InputError(f"{path} is not a scan with a white and a dark reference")
    plain = replace(options, scale=1.0)  # raw numbers
    scan = envi.open_file(header, plain)
    beside = _headers(header.parent)
    white_header, dark_header = _reference(header, _WHITE, beside), _reference(header, _DARK, beside)
    assert white_header is not None  # _scan has seen it
    dark = np.zeros(()) if dark_header is None else _mean_line(dark_header, plain, scan, header)
    if dark_header is None:
        warnings.warn(
            f"{header} lacks its dark reference (DARKREF_{header.name}); taken as 0, which makes dark places too "
            "bright: put it beside the scan",
            FinewaveWarning,
            stacklevel=4,
        )
    white = _mean_line(white_header, plain, scan, header)
    own_dark = _reference(header, _DARK_OF_WHITE, beside)
    of_white = dark if own_dark is None else _mean_line(own_dark, plain, scan, header)
    exposures = [_exposure(each) for each in (header, white_header)]
    ratio = exposures[1] / exposures[0] if None not in exposures else 1.0  # type: ignore[operator]  # None was excluded
    with np.errstate(divide="ignore", invalid="ignore"):
        dark = np.broadcast_to(dark, white.shape)
        gain = np.where(white > of_white, ratio / (white - of_white), np.nan)

    def read(key: Slices) -> NDArray[Any]:
        numbers = scan.variable[key].values
        return ((numbers - dark[key[0], :, key[2]]) * gain[key[0], :, key[2]]).astype(np.float32)

    values = LazyValues(read, scan.shape, (0, 1, 2), Decoding(np.dtype(np.float32)), header, "scan")
    scene = make_scene(values.as_variable(), attrs=scan.attrs, encoding={"dtype": "float32"})
    scene = scene.assign_coords({name: each for name, each in scan.coords.items() if each.dims == ("band",)})
    scene.attrs |= {
        "product": header.stem,
        "quantity": "reflectance relative to the white reference",
        "references": ", ".join(each.name for each in (white_header, dark_header) if each is not None),
    }
    scene.attrs.setdefault("sensor", str(scan.attrs.get("sensor_type", "line scanner")).lower())
    scene.set_close(scan.close)
    return scene


def _mean_line(header: Path, options: OpenOptions, scan: xr.DataArray, scan_header: Path) -> NDArray[np.float64]:
    """Return a reference (bands, 1, columns), the mean over its lines."""
    with envi.open_file(header, options) as reference:
        if (reference.sizes["band"], reference.sizes["x"]) != (scan.sizes["band"], scan.sizes["x"]):
            raise InputError(
                f"{header} has {reference.sizes['band']} bands of {reference.sizes['x']} columns, {scan_header.name} "
                f"{scan.sizes['band']} of {scan.sizes['x']}; is it the reference of this scan?"
            )
        return np.asarray(reference.values, np.float64).mean(axis=1, keepdims=True)


def _exposure(header: Path) -> float | None:
    fields = header_fields(header)
    for name in _EXPOSURE:
        try:
            value = float(fields[name].split(",")[0])
        except (KeyError, ValueError):
            continue
        return value if value > 0 else None
    return None
