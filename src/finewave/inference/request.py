"""What is asked of a model: its inputs as scenes, checked, with their bands found; and what the result will be."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from finewave.errors import InputError
from finewave.inference.band_matching import output_wavelengths, warn_of_other_sensor
from finewave.inference.band_selection import BandSelection, select_bands
from finewave.inference.tiling.sources import OpenScene, Source
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    import xarray as xr

    from finewave.zoo.model import Model

SPREAD = "standard deviation over eight flips and rotations"
"""What the values of an uncertainty file are, in its attribute ``quantity``."""
_SAMPLE = 128  # side in pixels of the windows in which a scene in a file is looked at beforehand


@dataclass
class Request:
    """A model and the scenes that it is applied to.

    Attributes
    ----------
    model : Model
    scenes : dict of str to xarray.DataArray
        The inputs by name, dims (band, y, x).
    bands : dict of str to BandSelection
        Which bands of each scene, in the order of the model's input.
    """

    model: Model
    scenes: dict[str, xr.DataArray]
    bands: dict[str, BandSelection]

    @property
    def first(self) -> xr.DataArray:
        """The scene whose grid is that of the tiles."""
        return self.scenes[self.model.inputs[0]]

    def ratio(self, name: str) -> int:
        """Return how many pixels of an input stand on one of the first, per axis."""
        return self.scenes[name].sizes["y"] // self.first.sizes["y"]

    def sources(self) -> dict[str, tuple[Source, int]]:
        """Return windows of every input, and its `ratio`."""
        return {
            name: (OpenScene(scene, self.bands[name].indices, self.bands[name].fills), self.ratio(name))
            for name, scene in self.scenes.items()
        }

    def result(self, values: Any) -> xr.DataArray:
        """Return values (C, s h, s w), a NumPy or dask array, as a scene on the finer grid of the first one."""
        import xarray as xr

        from finewave.scene import STRUCTURE, make_scene, placed_like

        scene, model = self.first, self.model
        attributes = {key: value for key, value in scene.attrs.items() if key not in STRUCTURE | {"sensor"}}
        attributes["model"] = model.name
        attributes["model_precision"] = model.arithmetic
        attributes["upscaling"] = model.upscaling
        if model.card is not None:
            attributes["model_card"] = model.card.to_json()
        result = make_scene(
            xr.Variable(("band", "y", "x"), values),
            output_wavelengths(model, scene, list(self.bands[model.inputs[0]].indices)),
            attrs=attributes,
        )
        result = placed_like(result, scene, 1 / model.upscaling)
        of_the_whole = {key: c for key, c in scene.coords.items() if not c.dims and key not in result.coords}
        return result.assign_coords(of_the_whole)

    def spread(self, values: Any) -> xr.DataArray:
        """Return the spread of the result's values (C, s h, s w), likewise."""
        result = self.result(values)
        result.attrs["quantity"] = SPREAD
        return result

    def warn_of_range(self) -> None:
        """Warn of values far beyond the model's range: of all, if they are in memory, else of a sample in the file."""
        model = self.model
        low, high = model.card.value_range if model.card is not None else (0.0, 1.0)
        for name, scene in self.scenes.items():
            largest, empty = _sampled(scene, self.bands[name])
            if empty:
                from finewave.scene import band_labels

                labels = band_labels(scene)
                warnings.warn(
                    f"{', '.join(labels[i] for i in empty)} has no value in any pixel of the scene that was looked at; "
                    "what depends on it has none either: flag it bad (bbl, good_band) to have it filled from its "
                    "neighbours",
                    FinewaveWarning,
                    stacklevel=4,
                )
            if largest > low + 2 * (high - low):
                warnings.warn(
                    f"the scene's values reach {largest:g}; {model.name} was trained on {low:g} to {high:g}: divide "
                    "by the scene's scale factor first",
                    FinewaveWarning,
                    stacklevel=4,
                )


def make_request(scene: xr.DataArray, model: Model, guide: xr.DataArray | None = None) -> Request:
    """Check the inputs of a model and find their bands; see `finewave.super_resolve` for parameters and errors."""
    from finewave.scene import check_scene

    scene = check_scene(scene)
    _check(scene, model)
    scenes = dict(zip(model.inputs, [scene, *_guides(guide, scene, model)], strict=True))
    warn_of_other_sensor(scene, model)
    request = Request(model, scenes, {name: select_bands(image, model, name) for name, image in scenes.items()})
    for name, image in scenes.items():
        model.warn_of_size(name, image.sizes["y"], image.sizes["x"])
    return request


def _check(scene: xr.DataArray, model: Model) -> None:
    _check_values(scene, "scene")
    multiple = model.size_multiple
    height, width = scene.sizes["y"], scene.sizes["x"]
    if height % multiple or width % multiple:
        raise InputError(
            f"scene of {height} x {width} pixels; {model.name} takes heights and widths that are multiples "
            f"of {multiple}: crop it"
        )


def _check_values(scene: xr.DataArray, which: str) -> None:
    if scene.dtype.kind != "f":
        raise InputError(f"the {which} holds {scene.dtype}; scale it to reflectance in [0, 1], as open_scene does")


def _guides(guide: xr.DataArray | None, scene: xr.DataArray, model: Model) -> list[xr.DataArray]:
    """Return the checked second image, if the model takes one."""
    from finewave.scene import check_scene

    if len(model.inputs) == 1:
        if guide is not None:
            raise InputError(f"{model.name} takes {model.inputs[0]} alone; a guide was given")
        return []
    first, second = model.inputs
    if guide is None:
        raise InputError(f"{model.name} needs {first} and {second}: give the {second} as guide")
    guide = check_scene(guide)
    _check_values(guide, "guide")
    if second != "ref_rgb":
        given = (guide.sizes["y"], guide.sizes["x"])
        expected = tuple(n * model.upscaling for n in (scene.sizes["y"], scene.sizes["x"]))
        if given != expected:
            raise InputError(
                f"the guide ({second}) has {given[0]} x {given[1]} pixels; with a scene ({first}) of "
                f"{scene.sizes['y']} x {scene.sizes['x']} and scale {model.scale}, {expected[0]} x {expected[1]} are "
                "expected"
            )
        _warn_of_other_place(guide, scene)
    return [guide]


def _warn_of_other_place(guide: xr.DataArray, scene: xr.DataArray) -> None:
    """Warn where georeferences say that two images that are to be aligned are not."""
    from finewave.scene import scene_crs, scene_transform

    ours, theirs = scene_transform(scene), scene_transform(guide)
    if ours is None or theirs is None:
        return
    if scene_crs(scene) is not None and scene_crs(guide) is not None and scene_crs(scene) != scene_crs(guide):
        what = f"the scene is in {scene_crs(scene)}, the guide in {scene_crs(guide)}"
    else:
        ends = (0, 0), (scene.sizes["x"], scene.sizes["y"])
        far = [ours * end for end in ends]
        s = guide.sizes["y"] // scene.sizes["y"]
        off = [~theirs * point for point in far]  # in pixels of the guide
        away = max(
            abs(a - s * b) for point, end in zip(off, ends, strict=True) for a, b in zip(point, end, strict=True)
        )
        if away <= 0.5:
            return
        what = f"their georeferences put them {away:.1f} pixels of the guide apart"
    warnings.warn(
        f"scene and guide must be aligned; {what}; bring them to one grid first, with gdalwarp for instance",
        FinewaveWarning,
        stacklevel=5,
    )


def _sampled(scene: xr.DataArray, bands: BandSelection) -> tuple[float, list[int]]:
    """Return the largest value and the bands without any, of nine windows if the scene is neither in memory nor small.

    Nothing is said of dask arrays: asking would compute them.
    """
    if scene.chunks is not None:
        return 0.0, []
    windows = [
        [slice(0, length)] if scene.variable._in_memory or length <= 3 * _SAMPLE else _three_windows(length)
        for length in (scene.sizes["y"], scene.sizes["x"])
    ]
    source = OpenScene(scene, bands.indices, bands.fills)
    largest, known = 0.0, np.zeros(len(bands.indices), bool)
    for rows in windows[0]:
        for columns in windows[1]:
            values = source.read((rows, columns))
            finite = np.isfinite(values)
            known |= finite.any(axis=(1, 2))
            largest = max(largest, float(values.max(initial=0, where=finite)))
    empty = [] if not known.any() else [bands.indices[i] for i in np.flatnonzero(~known)]
    return largest, empty


def _three_windows(length: int) -> list[slice]:
    return [slice(start, start + _SAMPLE) for start in (0, (length - _SAMPLE) // 2, length - _SAMPLE)]
