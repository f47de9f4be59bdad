"""What a scene is: one image with its wavelengths and georeference, as an ``xarray.DataArray``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from finewave.control_points import (
    RPCS,
    on_finer_pixels,
    rpcs_on_finer_pixels,
    scene_rpcs,
    with_control_points,
    with_rpcs,
)
from finewave.control_points import control_points as control_points_of
from finewave.errors import InputError
from finewave.grid_mapping import (
    attributes_of,
    is_sheared,
    name_of,
    stated_transform,
    with_attributes,
    with_crs,
    with_transform,
)
from finewave.grid_mapping import scene_crs as scene_crs
from finewave.grid_mapping import scene_transform as scene_transform
from finewave.pixel_positions import counted_for, has_pixel_positions, with_pixel_positions
from finewave.wavelengths import given_wavelengths

if TYPE_CHECKING:
    import xarray as xr

#: Attributes that describe storage, not the scene; each format writes its own.
STRUCTURE = frozenset(
    {"_FillValue", "missing_value", "scale_factor", "add_offset", "grid_mapping", "coordinates", "long_name"}
)

#: Attributes of a result that say which model made it.
MADE_BY = frozenset({"model", "model_card", "model_precision", "upscaling"})


def make_scene(
    values: Any,
    wavelengths: Any = None,
    *,
    fwhm: Sequence[float] | None = None,
    good_bands: Sequence[bool] | None = None,
    band_names: Sequence[str] | None = None,
    colours: Sequence[str] | None = None,
    crs: Any = None,
    transform: Any = None,
    control_points: Any = None,
    attrs: Mapping[str, Any] | None = None,
    encoding: Mapping[str, Any] | None = None,
) -> xr.DataArray:
    """Put together a scene.

    Parameters
    ----------
    values : array_like or xarray.Variable
        Shape ``(bands, y, x)``, or ``(y, x)`` for one band; a variable with dims ``(band, y, x)`` may be
        lazy.
    wavelengths : sequence of float or path, optional
        Centre wavelengths in nm, one per band, or a CSV file with a column ``wavelength_nm``.
    fwhm : sequence of float, optional
        Full widths at half maximum in nm, one per band.
    good_bands : sequence of bool, optional
        False for bands that should not be used (ENVI's bad-band list).
    band_names : sequence of str, optional
        One per band.
    colours : sequence of str, optional
        Display colour of each band as stated by the file format: ``"red"``, ``"nir"``, ...; empty where not stated.
    crs : optional
        Coordinate reference system, in any form that rasterio takes.
    transform : affine.Affine or six numbers, optional
        From (column, row) to map coordinates, in the order of ``affine.Affine``.
    control_points : optional
        In place of a transform, see `finewave.control_points.with_control_points`.
    attrs : mapping, optional
        Further attributes of the scene.
    encoding : mapping, optional
        Storage of the values in the file: ``dtype``, ``scale_factor``, ``add_offset``, ``_FillValue``.

    Returns
    -------
    xarray.DataArray
        Dims ``(band, y, x)``; coordinate ``band`` counts from 1; ``wavelength``, ``fwhm``, ``good_band`` and
        ``band_name`` along ``band`` where known; ``x``, ``y`` (pixel centres) and ``spatial_ref`` where there
        is a georeference; ``row``, ``column`` where that is rotated, control points or RPCs.

    Raises
    ------
    InputError
        The values do not have two or three axes, or a list does not have one entry per band.
    """
    import xarray as xr

    if isinstance(values, xr.Variable):
        variable = values
    else:
        array = np.asarray(values)
        if array.ndim == 2:
            array = array[None]
        if array.ndim != 3:
            raise InputError(
                f"a scene needs an array of shape (bands, y, x) or (y, x); got {array.ndim}-D, shape {array.shape}"
            )
        variable = xr.Variable(("band", "y", "x"), array)
    if 0 in variable.shape:
        raise InputError(f"a scene needs at least one band and one pixel; got shape {variable.shape}")
    scene = xr.DataArray(variable, name="scene")
    scene = scene.assign_coords(band=np.arange(1, scene.sizes["band"] + 1))
    scene.attrs = dict(attrs or {})
    scene.encoding = dict(encoding or {})
    if isinstance(scene.attrs.get(RPCS), Mapping):
        scene = with_rpcs(scene, scene.attrs[RPCS])
    if wavelengths is not None:
        scene = with_wavelengths(scene, wavelengths)
    if fwhm is not None:
        widths = np.asarray(fwhm, np.float64)
        scene = _with_band_coordinate(scene, "fwhm", widths, {"units": "nm"})
    if good_bands is not None:
        scene = _with_band_coordinate(scene, "good_band", np.asarray(good_bands, bool))
    if band_names is not None:
        scene = _with_band_coordinate(scene, "band_name", np.asarray([str(each) for each in band_names]))
    if colours is not None:
        scene = _with_band_coordinate(scene, "colour", np.asarray([str(each) for each in colours]))
    if control_points is not None and len(control_points):
        return with_control_points(scene, control_points, crs)
    if crs is not None or transform is not None:
        scene = with_georeference(scene, crs, transform)
    return scene


def with_wavelengths(scene: xr.DataArray, wavelengths: Any) -> xr.DataArray:
    """Return the scene with new wavelengths.

    Parameters
    ----------
    scene : xarray.DataArray
        With a dimension ``band``.
    wavelengths : sequence of float or path
        In nm, one per band, or a CSV file with a column ``wavelength_nm``.

    Returns
    -------
    xarray.DataArray
        With the coordinate ``wavelength``, float64, nm.

    Raises
    ------
    InputError
        There is not one wavelength per band, or they are not positive numbers.
    """
    values = given_wavelengths(wavelengths)
    if len(values) != scene.sizes["band"]:
        raise InputError(f"{len(values)} wavelengths for {scene.sizes['band']} bands; give one wavelength in nm a band")
    return _with_band_coordinate(scene, "wavelength", values, {"units": "nm"})


def _with_band_coordinate(
    scene: xr.DataArray, name: str, values: Any, attrs: Mapping[str, Any] | None = None
) -> xr.DataArray:
    if len(values) != scene.sizes["band"]:
        raise InputError(f"{len(values)} values of {name} for {scene.sizes['band']} bands; give one per band")
    encoding = dict(scene.encoding)
    scene = scene.assign_coords({name: ("band", values, dict(attrs or {}))})
    scene.encoding = encoding
    return scene


def with_georeference(scene: xr.DataArray, crs: Any, transform: Any) -> xr.DataArray:
    """Return the scene with a CRS and a transform.

    Parameters
    ----------
    scene : xarray.DataArray
        Dims ``(band, y, x)``.
    crs : optional
        In any form that rasterio takes; None for a transform without a CRS.
    transform : affine.Affine or six numbers, optional
        From (column, row) to map coordinates.

    Returns
    -------
    xarray.DataArray
        With ``spatial_ref`` and, unless the transform is rotated, ``x`` and ``y`` of the pixel centres.
    """
    from affine import Affine

    if crs is not None:
        scene = with_crs(scene, crs)
    if transform is not None:
        affine = transform if isinstance(transform, Affine) else Affine(*tuple(transform)[:6])
        if not is_sheared(affine):
            encoding = dict(scene.encoding)
            scene = scene.assign_coords(
                x=affine.c + affine.a * (np.arange(scene.sizes["x"]) + 0.5),
                y=affine.f + affine.e * (np.arange(scene.sizes["y"]) + 0.5),
            )
            scene.encoding = encoding
        scene = with_transform(scene if not is_sheared(affine) else with_pixel_positions(scene, affine), affine)
    return scene


def with_followed_place(scene: xr.DataArray) -> xr.DataArray:
    """Return a scene of any maker with coordinates by which parts of it, as ``isel`` makes them, find their place."""
    stated = stated_transform(scene)
    if "gcps" in attributes_of(scene) or isinstance(scene.attrs.get(RPCS), Mapping) or is_sheared(stated):
        rotated = stated if is_sheared(stated) else None
        if not has_pixel_positions(scene):
            return with_pixel_positions(scene, rotated)
        return scene if rotated is None or counted_for(scene, rotated) else with_place_of_its_pixels(scene)
    if stated is None or stated.is_identity or "x" in scene.coords or "y" in scene.coords:
        return scene
    return with_georeference(scene, None, stated)


def with_place_of_its_pixels(scene: xr.DataArray) -> xr.DataArray:
    """Return a scene whose transform, control points and RPCs are stated for its own pixels, as files have them.

    Those of a part that ``isel`` made are stated for the image that it is a part of.
    """
    points, transform, rpcs = control_points_of(scene), scene_transform(scene), scene_rpcs(scene)
    if isinstance(scene.attrs.get(RPCS), Mapping):
        others = {key: value for key, value in scene.attrs.items() if key != RPCS}
        scene = scene.copy(deep=False)
        scene.attrs = others
        scene = scene if rpcs is None else with_rpcs(scene, rpcs)
    if name_of(scene) not in scene.coords or not (
        "gcps" in attributes_of(scene) or is_sheared(stated_transform(scene))
    ):
        return scene
    kept = {key: value for key, value in attributes_of(scene).items() if key not in ("gcps", "GeoTransform")}
    scene = with_attributes(scene, kept)
    return with_control_points(scene, points, None) if points else with_georeference(scene, None, transform)


def resized(scene: xr.DataArray, values: Any, pixel_size: float) -> xr.DataArray:
    """Return a scene of the same area and bands with a different pixel size.

    Parameters
    ----------
    scene : xarray.DataArray
        Source of the attributes, the coordinates along ``band`` and the georeference.
    values : array of shape (bands, y, x)
        The new pixels.
    pixel_size : float
        Side of a new pixel in old pixels: s after degrading, 1/s after super-resolution. The upper left corner stays
        fixed, so pixel centres move by half the difference.

    Returns
    -------
    xarray.DataArray
    """
    result = placed_like(make_scene(values, attrs=scene.attrs), scene, pixel_size)
    along_band = {name: c.variable for name, c in scene.coords.items() if c.dims == ("band",)}
    encoding = dict(result.encoding)
    result = result.assign_coords(along_band)
    result.encoding = encoding
    return result


def placed_like(result: xr.DataArray, scene: xr.DataArray, pixel_size: float) -> xr.DataArray:
    """Return an image with the georeference of a scene that covers the same area with another pixel size.

    Parameters
    ----------
    result : xarray.DataArray
        Dims ``(band, y, x)``, without georeference.
    scene : xarray.DataArray
        With transform, ground control points or RPCs.
    pixel_size : float
        Side of the result's pixels in pixels of the scene. The corners of the image stay fixed.

    Returns
    -------
    xarray.DataArray
    """
    points, transform = control_points_of(scene), scene_transform(scene)
    rpcs = scene_rpcs(scene)
    if rpcs is not None:
        result = with_rpcs(result, rpcs_on_finer_pixels(rpcs, 1 / pixel_size))
    if points:
        return with_control_points(result, on_finer_pixels(points, 1 / pixel_size), scene_crs(scene))
    if transform is not None:
        transform = transform * transform.scale(pixel_size)
    return with_georeference(result, scene_crs(scene), transform)


def check_scene(scene: Any) -> xr.DataArray:
    """Return a scene with its dims in canonical order, or raise an error that says what is wrong.

    Parameters
    ----------
    scene : xarray.DataArray
        Dims ``band``, ``y``, ``x`` in any order; without ``band`` it is taken as one band.

    Returns
    -------
    xarray.DataArray
        Dims ``(band, y, x)``.

    Raises
    ------
    InputError
        It is not a DataArray, has other dims, no pixels, or no real numbers.
    """
    import xarray as xr

    if not isinstance(scene, xr.DataArray):
        raise InputError(
            f"a scene is an xarray.DataArray with dims (band, y, x); got {type(scene).__name__} "
            "(finewave.scene.make_scene turns an array into a scene)"
        )
    if set(scene.dims) == {"y", "x"}:
        encoding = dict(scene.encoding)
        scene = scene.expand_dims("band")
        scene.encoding = encoding
    if set(scene.dims) != {"band", "y", "x"}:
        raise InputError(f"a scene has the dims (band, y, x); got {tuple(scene.dims)}")
    if scene.dtype.kind not in "fiub":
        raise InputError(f"a scene holds real numbers; got {scene.dtype}")
    if 0 in scene.shape:
        raise InputError(f"a scene needs at least one band and one pixel; got shape {scene.shape}")
    return scene if scene.dims == ("band", "y", "x") else scene.transpose("band", "y", "x")


def band_values(scene: xr.DataArray, name: str) -> np.ndarray[Any, Any] | None:
    """Return a coordinate along ``band`` (``wavelength``, ``fwhm``, ``good_band``, ``band_name``) or None."""
    if name not in scene.coords:
        return None
    values = np.atleast_1d(scene.coords[name].values)
    return values if len(values) == scene.sizes["band"] else None


def band_labels(scene: xr.DataArray) -> list[str]:
    """Return a label for each band, for messages: its number, from 1, with its wavelength or name."""
    wavelengths, names = band_values(scene, "wavelength"), band_values(scene, "band_name")
    labels = []
    for i in range(scene.sizes["band"]):
        known = wavelengths is not None and np.isfinite(wavelengths[i])
        more = f"{wavelengths[i]:g} nm" if known else None if names is None else str(names[i])  # type: ignore[index]
        labels.append(f"band {i + 1}" + (f" ({more})" if more else ""))
    return labels


def attribute_to_text(value: Any) -> str | None:
    """Encode an attribute for formats that hold only text.

    Parameters
    ----------
    value : object
        Strings stay as they are, anything else becomes JSON.

    Returns
    -------
    str or None
        None when JSON cannot express the value.
    """
    if isinstance(value, str):
        # A string that is valid JSON is quoted, so that "12" is read back as a string.
        return value if attribute_from_text(value) == value else json.dumps(value)
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return None


def attribute_from_text(text: str) -> Any:
    """Decode an attribute written by `attribute_to_text`; text that is not JSON is returned unchanged."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def json_attributes(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Return those attributes of a scene that JSON can express, as plain Python values.

    Parameters
    ----------
    attrs : mapping
        The attributes of a scene.

    Returns
    -------
    dict
        Without those that describe storage.
    """
    texts = {str(k): attribute_to_text(v) for k, v in attrs.items() if k not in STRUCTURE}
    return {key: attribute_from_text(text) for key, text in texts.items() if text is not None}
