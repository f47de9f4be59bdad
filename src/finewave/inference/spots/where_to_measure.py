"""Which places of a scene to visit with a spectrometer, from the image alone."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finewave.calibration.spot_choice import ChosenPlace, choose_places
from finewave.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

    from finewave.zoo.runnable import RunnableModel

_LARGEST_SIDE = 1024
"""Maximum side in pixels of the image in which places are chosen; larger scenes are averaged."""
_SPOT = 9  # pixels of the result on a side, flat


@dataclass(frozen=True)
class MeasuringPlace:
    """A recommended place to measure, with its expected benefit.

    Attributes
    ----------
    number : int
        From 1, the most useful place first.
    column, row : float
        In pixels of the result, from 0 at the corner, centres at .5: as ``--anchors`` takes them.
    radius : float
        Of the flat area around, in pixels of the result.
    x, y : float or None
        In the scene's CRS, where it has a georeference.
    longitude, latitude : float or None
        In degrees (WGS 84), where the scene has a CRS.
    gain : float
        Expected gain in PSNR, in dB, of the spectra up to this one.
    """

    number: int
    column: float
    row: float
    radius: float
    x: float | None
    y: float | None
    longitude: float | None
    latitude: float | None
    gain: float


def model_to_correct(scene: xr.DataArray, model: RunnableModel | str, sensor: str | None = None) -> RunnableModel:
    """Return the model whose result of a scene spectra correct: loaded by its name, and made for the scene's sensor.

    Raises
    ------
    InputError
        A sensor is given for a model that is not for any sensor, or none where the scene does not say whose bands it
        has; the model is a baseline; or as `load_model`.
    """
    from finewave.inference.image_baselines import is_baseline, is_built, load_runnable, model_to_run
    from finewave.inference.options import PredictOptions

    if is_baseline(model):
        raise InputError(f"{model} is a baseline, built from what predict is given; give the name of trained weights")
    loaded = model if is_built(model) else load_runnable(model, "auto")
    return model_to_run(loaded, scene, None, PredictOptions(sensor=sensor))


def where_to_measure(
    scene: xr.DataArray, model: RunnableModel | str, count: int = 8, *, sensor: str | None = None, seed: int = 0
) -> list[MeasuringPlace]:
    """Return the places whose spectra are expected to improve a model's result most.

    They are flat, bright enough, not saturated, and far from edges; each is the best one given those before it.

    Parameters
    ----------
    scene : xarray.DataArray with dims (band, y, x)
        As for `super_resolve`.
    model : Model or str
        As for `super_resolve`; whose result is to be corrected. An exported network (``.onnx``) has the places of the
        model that it was exported from, which `super_resolve` corrects.
    count : int
        How many, >= 1.
    sensor : str, optional
        For weights for any sensor: whose bands the scene has, as for `super_resolve`.
    seed : int
        Seed of the pixel sample that represents the scene.

    Returns
    -------
    list of MeasuringPlace

    Raises
    ------
    InputError
        The scene does not fit the model, the model does not predict spectra, or there are fewer places.

    Notes
    -----
    The expected gain is that of the variance of the errors, as `finewave.calibration.residual_kriging.ErrorModel` has
    them over scenes; what a scene gains depends on its own.
    """
    import torch

    from finewave.inference.matching.band_selection import select_bands
    from finewave.scene import check_scene

    scene = check_scene(scene)
    model = model_to_correct(scene, model, sensor)
    if not model.output.endswith("hsi") or model.task == "sr":
        raise InputError(f"spectra correct what a model makes of spectra; {model.name} ({model.task}) makes none")
    image, factor = _reduced(scene, list(select_bands(scene, model).indices))
    finer = model.upscaling
    size = max(3, _SPOT // (finer * factor) // 2 * 2 + 1)
    places_ = choose_places(torch.from_numpy(image), count, size=size, seed=seed)
    return [_placed(number, each, scene, finer, factor, size) for number, each in enumerate(places_, start=1)]


def _reduced(scene: xr.DataArray, bands: list[int]) -> tuple[NDArray[np.float32], int]:
    """Return the bands (c, h, w), averaged over blocks of factor x factor pixels, and the factor."""
    from finewave.inference.tiling.sources import OpenScene

    height, width = scene.sizes["y"], scene.sizes["x"]
    factor = math.ceil(max(height, width) / _LARGEST_SIDE)
    source = OpenScene(scene, bands)
    if factor == 1:
        return source.read(None), 1
    columns = slice(0, width - width % factor)
    rows = []
    for row in range(height // factor):
        block = source.read((slice(row * factor, (row + 1) * factor), columns))
        rows.append(block.reshape(len(bands), factor, -1, factor).mean((1, 3)))
    return np.stack(rows, 1), factor


def _placed(number: int, place: ChosenPlace, scene: xr.DataArray, finer: int, factor: int, size: int) -> MeasuringPlace:
    from finewave.scene import scene_crs, scene_transform

    column, row = place.column * factor * finer, place.row * factor * finer
    x = y = longitude = latitude = None
    transform, crs = scene_transform(scene), scene_crs(scene)
    if transform is not None:
        across, down = column / finer, row / finer
        x = transform.a * across + transform.b * down + transform.c
        y = transform.d * across + transform.e * down + transform.f
        if crs is not None:
            from rasterio.warp import transform as reproject

            # a CRS may have no relation to the earth; errors of GDAL have no public class
            with suppress(Exception):
                found = reproject(crs, "EPSG:4326", [x], [y])
                longitude, latitude = float(found[0][0]), float(found[1][0])
    gain = -10 * math.log10(max(place.left, 1e-6))
    return MeasuringPlace(number, column, row, size * factor * finer / 2, x, y, longitude, latitude, gain)
