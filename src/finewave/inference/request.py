"""A prediction request: checked inputs with matched bands, and the properties of the result."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from finewave.errors import InputError
from finewave.inference.matching.band_matching import expected_names, output_wavelengths, warn_of_other_sensor
from finewave.inference.matching.band_selection import BandSelection, select_bands
from finewave.inference.tiling.sources import OpenScene, WindowSource
from finewave.inference.tiling.tiles import Window, enlarged
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    import xarray as xr

    from finewave.inference.options import PredictOptions
    from finewave.inference.processing import Processing
    from finewave.inference.tiling.grid import Grid
    from finewave.inference.tiling.tile_run import TileFacts
    from finewave.zoo.runnable import RunnableModel

SPREAD = "standard deviation over eight flips and rotations"
"""Attribute ``quantity`` of a spread's file."""
_BEYOND = 2.0
"""Times the range of a training; clouds and glints stay below it."""
_SAMPLE = 128  # side in pixels of the windows sampled for checks of a scene in a file


@dataclass
class PredictionRequest:
    """A model and the scenes that it is applied to.

    Attributes
    ----------
    model : RunnableModel
    scenes : dict of str to xarray.DataArray
        The inputs by name, dims (band, y, x).
    bands : dict of str to BandSelection
        Which bands of each scene, in the order of the model's input.
    kept : tuple of int or None
        Bands of the output that are kept; None for all.
    grids : dict of str to Grid
        Target grids of inputs that are resampled.
    window : Window or None
        Part of the first input's file, or of the grid of a later one, that is the scene; None for all.
    uncropped : dict of str to xarray.DataArray
        The scenes that a window was cut from, whole; empty if there is none.
    consistency : dict or None
        What a consistent result went by, see `finewave.inference.corrections.damping`; None for any other.
    """

    model: RunnableModel
    scenes: dict[str, xr.DataArray]
    bands: dict[str, BandSelection]
    kept: tuple[int, ...] | None = None
    grids: dict[str, Grid] = field(default_factory=dict)
    window: Window | None = None
    uncropped: dict[str, xr.DataArray] = field(default_factory=dict)
    consistency: dict[str, Any] | None = None

    @property
    def first(self) -> xr.DataArray:
        """The scene that defines the grid of the tiles."""
        return self.scenes[self.model.inputs[0]]

    @property
    def whole(self) -> dict[str, xr.DataArray]:
        """The inputs as they are without a window."""
        return self.uncropped or self.scenes

    @property
    def output_bands(self) -> int | None:
        """Number of bands of the result; None if the network does not state it."""
        if self.kept is not None:
            return len(self.kept)
        stated = self.model.bands_of(self.model.output)
        if stated is None and self.model.task == "sr":  # of any number: what comes in goes out
            return len(self.bands[self.model.inputs[0]].indices)
        return stated

    def ratio(self, name: str) -> int:
        """Return the pixels of an input per pixel of the first input along an axis."""
        return self.scenes[name].sizes["y"] // self.first.sizes["y"]

    def part_of(self, name: str) -> Window | None:
        """Return the part of an input's file, or of its target grid, that is the scene; None for all."""
        if self.window is None or name == "ref_rgb":
            return None
        return enlarged(self.window, self.ratio(name))

    def sources(self) -> dict[str, tuple[WindowSource, int]]:
        """Return windows of every input, and its `ratio`."""
        return {
            name: (OpenScene(scene, self.bands[name].indices, self.bands[name].fills), self.ratio(name))
            for name, scene in self.scenes.items()
        }

    def result(self, values: Any) -> xr.DataArray:
        """Return values (C, s h, s w), an array or a variable, as a scene on the finer grid of the first one."""
        import xarray as xr

        from finewave.scene import STRUCTURE, make_scene, placed_like

        scene, model = self.first, self.model
        attributes = {key: value for key, value in scene.attrs.items() if key not in STRUCTURE | {"sensor"}}
        if quantity := _quantity(scene, model):
            attributes["quantity"] = quantity
        attributes["model"] = model.name
        attributes["model_precision"] = model.arithmetic
        attributes["upscaling"] = model.upscaling * scene.attrs.get("enlarged", 1)
        if self.consistency is not None:
            attributes["consistency"] = json.dumps(self.consistency)
        if model.card is not None:
            attributes["model_card"] = model.card.to_json()
        wavelengths = output_wavelengths(model, scene, list(self.bands[model.inputs[0]].indices))
        if wavelengths is not None and self.kept is not None:
            wavelengths = wavelengths[list(self.kept)]
        result = make_scene(
            values if isinstance(values, xr.Variable) else xr.Variable(("band", "y", "x"), values),
            wavelengths,
            good_bands=_good_bands(model, wavelengths),
            attrs=attributes,
        )
        result = placed_like(result, scene, 1 / model.upscaling)
        of_the_whole = {key: c for key, c in scene.coords.items() if not c.dims and key not in result.coords}
        return result.assign_coords(of_the_whole)

    def second(self, values: Any, processing: Processing) -> xr.DataArray:
        """Return what goes beside the result (C, s h, s w), likewise: its spread, or half-widths for its errors."""
        result = self.result(values)
        result.attrs["quantity"] = SPREAD if processing.intervals is None else processing.intervals.quantity
        return result

    def warn_of_range(self) -> None:
        """Warn about values far beyond the model's range; files are checked by a sample."""
        model = self.model
        low, high = model.card.value_range if model.card is not None else (0.0, 1.0)
        for name, scene in self.scenes.items():
            largest, empty = _sampled(scene, self.bands[name])
            if empty:
                from finewave.scene import band_labels

                labels = band_labels(scene)
                warnings.warn(
                    f"{', '.join(labels[i] for i in empty)} has no value in any checked pixel of the scene; "
                    "what depends on it has none either: flag it bad (bbl, good_band) to have it filled from its "
                    "neighbours",
                    FinewaveWarning,
                    stacklevel=4,
                )
            if largest > low + _BEYOND * (high - low):
                from finewave.inference.matching.units import out_of_range

                warnings.warn(out_of_range(largest, model), FinewaveWarning, stacklevel=4)


def _good_bands(model: RunnableModel, wavelengths: Any) -> list[bool] | None:
    """Return which output bands are reliable according to the card; None if all are."""
    ranges = model.data_facts.get("unreliable_nm")
    if not ranges or wavelengths is None:
        return None
    return [not any(low <= each <= high for low, high in ranges) for each in wavelengths]


def _quantity(scene: xr.DataArray, model: RunnableModel) -> str | None:
    """Return what the result holds: what the scene does, unless the model learned another quantity.

    Spectra of the top of the atmosphere that went through a model of surface reflectance are neither.
    """
    given, learned = scene.attrs.get("quantity"), model.data_facts.get("quantity")
    if not given or not learned:
        return None if given is None else str(given)
    from finewave.inference.matching.units import is_other_quantity

    if not is_other_quantity(given, learned):
        return str(given)
    return f"{learned} as {model.name} makes it of {given}"


def make_request(
    scene: xr.DataArray,
    model: RunnableModel,
    guide: xr.DataArray | None = None,
    options: PredictOptions | None = None,
) -> PredictionRequest:
    """Check a model's inputs, cut the requested part and match bands; see `finewave.super_resolve`."""
    from finewave.scene import check_scene

    scene = check_scene(scene)
    guide, grid = _checked_guide(guide, scene, model)
    window, given = None, (scene, guide)
    if options is not None and (options.window is not None or options.bbox is not None):
        from finewave.inference.tiling.grid import cropped, window_asked_for

        window = window_asked_for(scene, options.window, options.bbox)
        assert window is not None
        if guide is not None and model.inputs[1] != "ref_rgb":
            guide = cropped(guide, enlarged(window, model.upscaling))
        scene = cropped(scene, window)
    _check(scene, model)
    scenes = dict(zip(model.inputs, [scene] if guide is None else [scene, guide], strict=True))
    warn_of_other_sensor(scene, model)
    if scene.attrs.get("quantity"):
        from finewave.inference.matching.units import another_quantity

        if (message := another_quantity(scene.attrs["quantity"], model)) is not None:
            warnings.warn(message, FinewaveWarning, stacklevel=4)
    bands = {name: select_bands(image, model, name) for name, image in scenes.items()}
    request = PredictionRequest(
        model, scenes, bands, window=window, grids={} if grid is None else {model.inputs[1]: grid}
    )
    if window is not None:
        request.uncropped = {name: image for name, image in zip(model.inputs, given, strict=False) if image is not None}
    if options is not None and options.bands is not None:
        request.kept = kept_bands(request, options.bands)
    for name, image in scenes.items():
        model.warn_of_size(name, image.sizes["y"], image.sizes["x"])
    return request


def _check(scene: xr.DataArray, model: RunnableModel) -> None:
    _check_values(scene, "scene")
    multiple = model.size_multiple
    height, width = scene.sizes["y"], scene.sizes["x"]
    if height % multiple or width % multiple:
        raise InputError(
            f"scene of {height} x {width} pixels; {model.name} takes heights and widths that are multiples "
            f"of {multiple}: crop it"
        )
    model.check_size(height, width)


def _check_values(scene: xr.DataArray, which: str) -> None:
    if scene.dtype.kind != "f":
        raise InputError(f"the {which} holds {scene.dtype}; scale it to reflectance in [0, 1], as open_scene does")


def _checked_guide(
    guide: xr.DataArray | None, scene: xr.DataArray, model: RunnableModel
) -> tuple[xr.DataArray | None, Grid | None]:
    """Return the second image, if the model takes one, on the scene's grid; and that grid, if it was brought there."""
    from finewave.scene import check_scene

    if len(model.inputs) == 1:
        if guide is not None:
            raise InputError(f"{model.name} takes {model.inputs[0]} alone; a guide was given")
        return None, None
    first, second = model.inputs
    if guide is None:
        raise InputError(f"{model.name} needs {first} and {second}: give the {second} as guide (--guide)")
    guide = check_scene(guide)
    _check_values(guide, "guide")
    if second == "ref_rgb":
        return guide, None
    from finewave.inference.tiling.grid import aligned_guide

    guide, grid = aligned_guide(guide, scene, model.upscaling)
    size = (guide.sizes["y"], guide.sizes["x"])
    expected = tuple(n * model.upscaling for n in (scene.sizes["y"], scene.sizes["x"]))
    if size != expected:
        raise InputError(
            f"the guide ({second}) has {size[0]} x {size[1]} pixels; with a scene ({first}) of "
            f"{scene.sizes['y']} x {scene.sizes['x']} and scale {model.scale}, {expected[0]} x {expected[1]} are "
            "expected"
        )
    return guide, grid


def kept_bands(request: PredictionRequest, bands: Sequence[float | str]) -> tuple[int, ...]:
    """Return the bands of the output that are called so: by wavelength in nm, the nearest one, or by name.

    Raises
    ------
    InputError
        There is none near, of that name, or two names mean one band.
    """
    model = request.model
    wavelengths = output_wavelengths(model, request.first, list(request.bands[model.inputs[0]].indices))
    names = expected_names(model, model.output)
    kept: list[int] = []
    for band in bands:
        if isinstance(band, str):
            matching = [i for i, name in enumerate(names or []) if name.casefold() == band.casefold()]
            if len(matching) != 1:
                known = ", ".join(names) if names else "none, give wavelengths in nm"
                raise InputError(f"bands= (--bands): {model.name} makes no band named {band!r}; names: {known}")
            kept.append(matching[0])
            continue
        if wavelengths is None:
            raise InputError(f"bands= (--bands): the wavelengths of the bands of {model.name} are not known")
        nearest = int(np.abs(wavelengths - band).argmin())
        spacing = float(np.abs(np.diff(np.sort(wavelengths))).max(initial=0))
        if not abs(wavelengths[nearest] - band) <= max(spacing / 2, 5.0):
            raise InputError(
                f"bands= (--bands): {model.name} makes no band at {band:g} nm, the nearest one is at "
                f"{wavelengths[nearest]:g} nm"
            )
        kept.append(nearest)
    if len(set(kept)) < len(kept):
        raise InputError(f"bands={list(bands)} (--bands) names one band of {model.name} twice")
    return tuple(kept)


def warn_of_facts(request: PredictionRequest, facts: list[TileFacts], processing: Processing) -> None:
    """Warn about findings in all tiles: missing values, only zeros, values out of range."""
    cut = sum(each.cut for each in facts)
    if processing.clip is not None and cut:
        consequence = (
            ", where the result is no longer exactly consistent with the scene" if processing.projection else ""
        )
        warnings.warn(
            f"{cut} values were cut to {processing.clip[0]:g} to {processing.clip[1]:g}{consequence}",
            FinewaveWarning,
            stacklevel=4,
        )
    unlike, pixels = sum(each.unlike for each in facts), request.first.sizes["y"] * request.first.sizes["x"]
    if unlike:
        warnings.warn(
            f"{unlike} of {pixels} pixels ({unlike / pixels:.1%}) are unlike all that {request.model.name} has seen in "
            "training (distance of their bands): what it makes of them is a guess; do not use those pixels",
            FinewaveWarning,
            stacklevel=4,
        )
    for name, image in request.scenes.items():
        holes = sum(each.holes.get(name, 0) for each in facts)
        dark = all(each.dark.get(name, False) for each in facts)
        request.model.warn_of_values(name, holes, image.sizes["y"] * image.sizes["x"], dark)


def _sampled(scene: xr.DataArray, bands: BandSelection) -> tuple[float, list[int]]:
    """Return the largest value and the bands without any, of nine windows if the scene is neither in memory nor small.

    Dask arrays are not checked, as that would compute them.
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
