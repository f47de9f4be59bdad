"""Summary of a file or an open scene: `finewave.info` and ``finewave info``."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finewave.errors import InputError
from finewave.inference.facts import SceneInfo
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    import xarray as xr

    from finewave.zoo.model import Model


def info(path: str | Path | xr.DataArray, *, models: bool = True, **keywords: Any) -> SceneInfo:
    """Return the facts read from a file, or those of an open scene, without reading its values.

    Parameters
    ----------
    path : str, pathlib.Path or xarray.DataArray
        As for `open_scene`; or a scene, such as a result.
    models : bool
        Check for all available weights whether they fit the file's bands, and why not.
    **keywords
        As for `open_scene`.

    Returns
    -------
    dict
        Of what JSON can hold; ``print`` and notebooks show a summary of it. ``path``, ``format`` (of a file);
        ``bands``, ``rows``, ``columns``; ``dtype`` (of the stored numbers), ``scale_factor``, ``offset`` (value =
        number x scale_factor + offset; a list where bands differ), ``nodata``, ``quantity``; ``sensor``, ``product``,
        ``datetime`` (of the acquisition, ISO 8601 in UTC), ``model`` (that made it);
        ``wavelengths_nm``, ``fwhm_nm``, ``good_bands``, ``band_names``; ``crs`` (EPSG or WKT), ``transform`` (six
        numbers as of ``affine.Affine``), ``pixel_size``, ``bounds`` (left, bottom, right, top), ``control_points`` (how
        many), ``rpcs``; ``warnings`` (what was assumed, repaired or left out), ``models`` (``name``, ``fits``,
        ``why``). None for unknown facts.

    Raises
    ------
    InputError
        As `open_scene`.

    Examples
    --------
    >>> import finewave as fw
    >>> fw.info("scene.tif")["wavelengths_nm"]  # doctest: +SKIP
    [490.0, 560.0, 665.0]
    """
    import xarray as xr

    from finewave.io.network.location import location_of
    from finewave.io.open_save import format_of, open_scene
    from finewave.scene import check_scene

    if isinstance(path, xr.DataArray):
        if keywords:
            raise InputError(f"{', '.join(keywords)}: how to open a file; info was given an open scene")
        scene = check_scene(path)
        return SceneInfo(_of_scene(scene), **({"models": _fitting(scene)} if models else {}))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", FinewaveWarning)
        scene = open_scene(path, **keywords)
    try:
        place = {"path": str(location_of(path)), "format": format_of(path, keywords.get("engine"))}
        facts = SceneInfo(**place, **_of_scene(scene))
        facts["warnings"] = list(dict.fromkeys(str(each.message) for each in caught))
        if models:
            facts["models"] = _fitting(scene)
    finally:
        scene.close()
    return facts


def _of_scene(scene: xr.DataArray) -> dict[str, Any]:
    from finewave.io.formats.values.lazy import decoding_of

    decoding = decoding_of(scene)
    encoding = scene.encoding
    stored = decoding.stored_dtype if decoding is not None else encoding.get("dtype", scene.dtype)
    factor = encoding.get("scale_factor", 1.0 if decoding is None else decoding.scale_factor)
    offset = encoding.get("add_offset", 0.0 if decoding is None else decoding.offset)
    nodata = encoding.get("_FillValue", None if decoding is None else decoding.nodata)
    return {
        "bands": scene.sizes["band"],
        "rows": scene.sizes["y"],
        "columns": scene.sizes["x"],
        "dtype": np.dtype(stored).name,
        "scale_factor": _plain(factor),
        "offset": _plain(offset),
        "nodata": _plain(nodata),
        "quantity": scene.attrs.get("quantity"),
        "sensor": scene.attrs.get("sensor"),
        "product": scene.attrs.get("product"),
        "datetime": scene.attrs.get("datetime"),
        "model": scene.attrs.get("model"),
        **{
            key: None if name not in scene.coords else scene.coords[name].values.tolist()
            for key, name in (
                ("wavelengths_nm", "wavelength"),
                ("fwhm_nm", "fwhm"),
                ("good_bands", "good_band"),
                ("band_names", "band_name"),
            )
        },
        **_place(scene),
    }


def _place(scene: xr.DataArray) -> dict[str, Any]:
    from finewave.control_points import RPCS, control_points
    from finewave.scene import scene_crs, scene_transform

    crs, transform = scene_crs(scene), scene_transform(scene)
    code = None if crs is None else crs.to_epsg()
    bounds = None
    if transform is not None:
        corners = [transform * (x, y) for x in (0, scene.sizes["x"]) for y in (0, scene.sizes["y"])]
        xs, ys = zip(*corners, strict=True)
        bounds = [min(xs), min(ys), max(xs), max(ys)]
    return {
        "crs": None if crs is None else f"EPSG:{code}" if code else crs.to_wkt(),
        "transform": None if transform is None else [float(each) for each in tuple(transform)[:6]],
        "pixel_size": None if transform is None else float(abs(transform.determinant) ** 0.5),
        "bounds": bounds,
        "control_points": len(control_points(scene)),
        "rpcs": RPCS in scene.attrs,
    }


def _plain(value: Any) -> Any:
    """Return numbers as Python has them: one, or a list where they differ."""
    if value is None:
        return None
    numbers = [None if each is None else float(each) for each in (value if isinstance(value, tuple) else [value])]
    return numbers[0] if len(set(numbers)) == 1 else numbers


def _fitting(scene: xr.DataArray) -> list[dict[str, Any]]:
    """Say of each set of trained weights whether its bands are in the scene."""
    if importlib.util.find_spec("torch") is None:
        return []  # an installation that runs exported models alone

    import torch

    from finewave.inference.sensor_choice import fits_bands
    from finewave.systems.registry import create_model
    from finewave.zoo.card import Card
    from finewave.zoo.distribution.bundled_weights import CARD, weight_folders
    from finewave.zoo.model import Model

    models = []
    for name, folder in weight_folders().items():
        card = Card.read(folder / CARD)
        with torch.device("meta"):  # a network's inputs are known without its weights
            model = Model(create_model(card.system, **card.config), card)
        fits, why = fits_bands(model, scene) if model.any_sensor else (False, "")
        if not fits:
            fits, why = _matched(scene, model, why)
        models.append({"name": name, "task": card.task, "scale": card.scale, "fits": fits, "why": why})
    return models


def _matched(scene: xr.DataArray, model: Model, remedy: str) -> tuple[bool, str]:
    """Return whether a model's bands are in the scene, and what is to be known; or else why not, or a remedy."""
    from finewave.inference.matching.band_matching import match_bands

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FinewaveWarning)
        try:
            match_bands(scene, model, advise=False)  # all models stand beside it
        except InputError as error:
            return False, remedy or str(error)
    notes = [str(each.message) for each in caught]
    notes += [f"needs a guide ({each})" for each in model.inputs[1:]]
    return True, "; ".join(notes)
