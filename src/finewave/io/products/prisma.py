"""PRISMA products (HDF-EOS5, ``PRS_L*.he5``): VNIR and SWIR cubes as one scene of rising wavelength."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from finewave.acquisition import date_attribute, date_in_name, stated_date
from finewave.control_points import sampled_points
from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.values.lazy import Slices
from finewave.io.open_options import OpenOptions
from finewave.io.products.common.hdf5_cubes import Cube, holds, in_order, numbers, open_cubes, opened_hdf5
from finewave.warnings import FinewaveWarning

_LEVELS = ("L2D", "L2C", "L2B", "L1")
_SWATHS = tuple(f"HDFEOS/SWATHS/PRS_{level}_{kind}" for level in _LEVELS for kind in ("HCO", "HRC"))
_LARGEST = 65535
_PIXEL = 30.0
# Of the error matrices: invalid in level 1, and saturated. 2 is a negative reflectance that was set to 0.
_NOT_A_VALUE = (1, 3)


def matches(path: Path) -> bool:
    """Whether a path is an HDF5 file with a PRISMA swath."""
    return holds(path, (".he5", ".h5"), _SWATHS)


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open VNIR and SWIR of a product.

    Returns
    -------
    xarray.DataArray
        Reflectance of level 2C and 2D, else radiance in W/(m2 sr um), which ``attrs["quantity"]`` says; lazy. Bands
        without a centre wavelength are left out. Pixels of the error matrices 1 and 3 are missing.
    """
    file = opened_hdf5(path, "PRISMA product")
    try:
        with reading(path, "PRISMA product"):
            swath = next(each for each in _SWATHS if each in file)
            level = swath.split("_")[1]
            fields = file[f"{swath}/Data Fields"]
            scene = _open(path, file, fields, swath, level, options)
    except BaseException:
        file.close()
        raise
    scene.set_close(file.close)
    return scene


def _open(path: Path, file: Any, fields: Any, swath: str, level: str, options: OpenOptions) -> xr.DataArray:
    attrs = dict(file.attrs)
    cubes, centres, widths, factors, offsets = [], [], [], [], []
    for name in ("Vnir", "Swir"):
        dataset = fields.get(f"{name.upper()}_Cube")
        listed = numbers(attrs, f"List_Cw_{name}")
        if dataset is None or listed is None:
            continue
        flags = numbers(attrs, f"List_Cw_{name}_Flags")
        used = [
            band
            for band in range(min(dataset.shape[1], len(listed)))
            if listed[band] > 0 and (flags is None or len(flags) <= band or flags[band] != 0)
        ]
        own_widths = numbers(attrs, f"List_Fwhm_{name}")
        cubes.append(Cube(dataset, (1, 0, 2), used))  # rows, bands, columns
        centres += [float(listed[band]) for band in used]
        widths += [np.nan if own_widths is None else float(own_widths[band]) for band in used]
        factor, offset = _scale(attrs, name, level)
        factors += [factor] * len(used)
        offsets += [offset] * len(used)
    if not centres:
        raise InputError(f"{path} holds no VNIR_Cube or SWIR_Cube with wavelengths (List_Cw_*); is it whole?")
    order = np.argsort(centres, kind="stable")
    bands = in_order(cubes, order.tolist())
    rising: dict[str, Any] = {"wavelengths": [centres[i] for i in order]}
    if np.all(np.isfinite(widths)) and min(widths) > 0:
        rising["fwhm"] = [widths[i] for i in order]
    reflectance = level in ("L2C", "L2D")
    return open_cubes(
        bands,
        path,
        "PRISMA product",
        options,
        stated=(tuple(factors[i] for i in order), tuple(offsets[i] for i in order)),
        mask=_mask(fields, bands, level),
        attrs={
            "sensor": "prisma",
            "product": path.stem,
            "quantity": "reflectance" if reflectance else "radiance in W/(m2 sr um)",
            **date_attribute(stated_date(attrs), date_in_name(path.stem)),
        },
        **rising,
        **_place(path, file, attrs, swath, cubes[0].size),
    )


def _scale(attrs: dict[str, Any], name: str, level: str) -> tuple[float, float]:
    """Scale factor and offset of a cube: ASI, PRISMA Products Specification, for level 2 and level 1."""
    if level == "L1":
        factor = float(np.ravel(attrs.get(f"ScaleFactor_{name}", 1.0))[0])
        return 1.0 / factor, -float(np.ravel(attrs.get(f"Offset_{name}", 0.0))[0])
    low, high = (float(np.ravel(attrs[f"L2Scale{name}{end}"])[0]) for end in ("Min", "Max"))
    return (high - low) / _LARGEST, low


def _mask(fields: Any, bands: list[tuple[Cube, int]], level: str) -> Any:
    names = {"VNIR": "VNIR_PIXEL_{}_ERR_MATRIX", "SWIR": "SWIR_PIXEL_{}_ERR_MATRIX"}
    masks: dict[str, Cube] = {}
    for kind, pattern in names.items():
        for word in ("L2", "SAT"):
            dataset = fields.get(pattern.format(word) if word == "L2" else f"{kind}_PIXEL_SAT_ERR_MATRIX")
            cube = fields.get(f"{kind}_Cube")
            if dataset is not None and cube is not None and dataset.shape == cube.shape and kind not in masks:
                masks[kind] = Cube(dataset, (1, 0, 2), ())
    if not masks:
        return None
    invalid = _NOT_A_VALUE if level != "L1" else (1, 2, 3, 4)

    def mask(key: Slices) -> NDArray[np.bool_]:
        hidden: list[NDArray[Any]] = []
        for cube, band in bands[key[0]]:
            errors = masks.get(cube.dataset.name.rsplit("/", 1)[-1].split("_")[0])
            ys, xs = key[1], key[2]
            if errors is None:
                hidden.append(np.zeros((len(range(*ys.indices(cube.size[0]))), len(range(*xs.indices(cube.size[1]))))))
            else:
                hidden.append(np.isin(errors.read([band], ys, xs)[0], invalid))
        return np.stack(hidden).astype(bool)

    return mask


def _place(path: Path, file: Any, attrs: dict[str, Any], swath: str, size: tuple[int, int]) -> dict[str, Any]:
    """Transform of level 2D by its corners; control points of the others by latitude and longitude."""
    epsg = numbers(attrs, "Epsg_Code")
    left, top = numbers(attrs, "Product_ULcorner_easting"), numbers(attrs, "Product_ULcorner_northing")
    if epsg is not None and left is not None and top is not None:
        right, bottom = numbers(attrs, "Product_LRcorner_easting"), numbers(attrs, "Product_LRcorner_northing")
        x, y = float(left[0]), float(top[0])
        if right is not None and bottom is not None:
            # corners are those of the outer pixels' centres, if the pixels then have 30 m
            spans = (abs(float(right[0]) - x), abs(y - float(bottom[0])))
            between = [span / (count - 1) for span, count in zip(spans, size[::-1], strict=True) if count > 1]
            if between and all(abs(each - _PIXEL) < 0.01 * _PIXEL for each in between):
                x, y = x - _PIXEL / 2, y + _PIXEL / 2
        return {"crs": f"EPSG:{int(epsg[0])}", "transform": (_PIXEL, 0.0, x, 0.0, -_PIXEL, y)}
    fields = file.get(f"{swath}/Geolocation Fields", {})
    for suffix in ("_VNIR", ""):
        if f"Latitude{suffix}" in fields:
            points = sampled_points(fields[f"Longitude{suffix}"][()], fields[f"Latitude{suffix}"][()])
            return {"crs": "EPSG:4326", "control_points": points}
    warnings.warn(
        f"{path} does not say where it lies; bring it to a map with other software for that",
        FinewaveWarning,
        stacklevel=2,
    )
    return {}
