"""Scene in, scene out: bands found by wavelength, georeference kept, large scenes in tiles."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from finewave.errors import InputError
from finewave.inference.bands import match_bands, output_wavelengths, warn_of_other_sensor
from finewave.inference.tiles import tiles_of, within
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    import torch
    import xarray as xr

    from finewave.models.pretrained import Model

TILE = 256
MAX_HALO = 64


def super_resolve(
    scene: xr.DataArray,
    model: Model | str,
    guide: xr.DataArray | None = None,
    *,
    tile: int = TILE,
    progress: Callable[[int, int], None] | None = None,
) -> xr.DataArray:
    """Apply a model to a scene.

    A scene of more than ``tile`` x ``tile`` pixels is processed in tiles that see a halo of the model's
    receptive field, at most `MAX_HALO` pixels, around them. Networks that pool over the whole image, as
    channel attention does, or reach farther than the halo, answer slightly differently there from one pass
    over the whole scene. The result is held in memory.

    Parameters
    ----------
    scene : xarray.DataArray with dims (band, y, x)
        Reflectance-like values in the model's range, as `open_scene` returns them.
    model : Model or str
        From `load_model`, or the name to load.
    guide : xarray.DataArray, optional
        The second image of a model that takes two: the HR-MSI (band, y, x) of ``fusion``, s times as many rows and
        columns, aligned with the scene; or the RGB reference of ``refsr``, of any size and viewpoint, with which the
        scene is processed in one piece, never in tiles.
    tile : int
        Side of a tile in pixels of the scene.
    progress : callable, optional
        Called with the number of tiles done and of all tiles, after each.

    Returns
    -------
    xarray.DataArray with dims (band, y, x)
        float32, s times as many rows and columns, with the card's wavelengths in nm, the scene's CRS,
        transform and coordinates at the new pixel size (pixel areas keep their place), NaN where an input
        pixel was not finite, and the model's name and card in ``attrs``.

    Raises
    ------
    InputError
        A ``ValueError``, if the dimensions, values or bands of scene or guide are not what the model takes, a guide is
        missing or one too many, or its size does not belong to the scene's.

    Warns
    -----
    FinewaveWarning
        If bands are left out, the scene comes from another sensor, its values are far beyond the model's
        range, or for the reasons of `Model.predict`.
    """
    import torch

    from finewave.imaging.scene import check_scene
    from finewave.models.invalid_pixels import blank, fill_invalid
    from finewave.models.pretrained import load_model

    if isinstance(model, str):
        model = load_model(model)
    scene = check_scene(scene)
    _check(scene, model, tile)
    scenes = dict(zip(model.inputs, [scene, *_guides(guide, scene, model)], strict=True))
    warn_of_other_sensor(scene, model)

    bands = {name: match_bands(image, model, name) for name, image in scenes.items()}
    filled, invalid = {}, {}
    for name, image in scenes.items():
        values = np.ascontiguousarray(image.values[bands[name]], dtype=np.float32)
        nodata = image.attrs.get("_FillValue")
        if nodata is not None and np.isfinite(nodata):
            values[values == np.float32(nodata)] = np.nan
        filled[name], invalid[name] = fill_invalid(torch.from_numpy(values)[None])
        _warn_of_range(filled[name], model)
    model.warn_about(filled, invalid)

    result = _run_in_tiles(filled, model, tile, progress)
    for name, holes in invalid.items():
        if name != "ref_rgb":
            result = blank(result, holes)
    return _as_scene(result[0].numpy(), scene, model, bands[model.inputs[0]])


def _run_in_tiles(
    images: dict[str, torch.Tensor], model: Model, tile: int, progress: Callable[[int, int], None] | None
) -> torch.Tensor:
    """Return the model's output (1, C, H, W), in float32, for ``images`` (1, c, h, w) by name."""
    import torch

    scale = model.upscaling
    height, width = images[model.inputs[0]].shape[2:]
    if max(height, width) <= tile or "ref_rgb" in images:
        whole = model.run(images).float()
        if progress is not None:
            progress(1, 1)
        return whole
    reach = model.receptive_field
    halo = MAX_HALO if reach is None else min(reach, MAX_HALO)
    plan = list(tiles_of(height, width, tile, halo, model.size_multiple))
    result: torch.Tensor | None = None
    for done, (core, seen) in enumerate(plan, start=1):
        part = model.run({name: _part(image, seen, height) for name, image in images.items()})
        if result is None:
            result = torch.empty(1, part.shape[1], height * scale, width * scale)
        rows, columns = (slice(c.start * scale, c.stop * scale) for c in core)
        result[:, :, rows, columns] = part[:, :, within(core[0], seen[0], scale), within(core[1], seen[1], scale)]
        if progress is not None:
            progress(done, len(plan))
    assert result is not None  # a checked scene has pixels, hence tiles
    return result


def _part(image: torch.Tensor, seen: tuple[slice, slice], height: int) -> torch.Tensor:
    """Return the rows and columns that ``seen`` means in an image that may be finer than the first, of ``height``."""
    s = image.shape[2] // height
    rows, columns = (slice(c.start * s, c.stop * s) for c in seen)
    return image[:, :, rows, columns]


def _guides(guide: xr.DataArray | None, scene: xr.DataArray, model: Model) -> list[xr.DataArray]:
    """Return the checked second image, if the model takes one."""
    from finewave.imaging.scene import check_scene

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
    from finewave.imaging.scene import scene_crs, scene_transform

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
    warnings.warn(f"scene and guide must be aligned; {what}", FinewaveWarning, stacklevel=4)


def _as_scene(values: np.ndarray, scene: xr.DataArray, model: Model, bands: list[int]) -> xr.DataArray:
    """Return (C, H, W) values as a scene on the finer grid of ``scene``."""
    from affine import Affine

    from finewave.imaging.scene import STRUCTURE, make_scene, scene_crs, scene_transform

    attributes = {key: value for key, value in scene.attrs.items() if key not in STRUCTURE | {"sensor"}}
    attributes["model"] = model.name
    if model.card is not None:
        attributes["model_card"] = model.card.to_json()
    transform = scene_transform(scene)
    if transform is not None:
        # pixel corners keep their place, so that pixel centres move by the exact half of the new pixel size
        transform = transform * Affine.scale(1 / model.upscaling)
    result = make_scene(
        values,
        output_wavelengths(model, scene, bands),
        crs=scene_crs(scene),
        transform=transform,
        attrs=attributes,
    )
    of_the_whole = {key: c for key, c in scene.coords.items() if not c.dims and key not in result.coords}
    return result.assign_coords(of_the_whole)


def _check(scene: xr.DataArray, model: Model, tile: int) -> None:
    _check_values(scene, "scene")
    multiple = model.size_multiple
    height, width = scene.sizes["y"], scene.sizes["x"]
    if height % multiple or width % multiple:
        raise InputError(
            f"scene of {height} x {width} pixels; {model.name} takes heights and widths that are multiples "
            f"of {multiple}: crop it"
        )
    if tile < 1:
        raise InputError(f"tile={tile} is out of range; it must be >= 1")


def _check_values(scene: xr.DataArray, which: str) -> None:
    if scene.dtype.kind != "f":
        raise InputError(f"the {which} holds {scene.dtype}; scale it to reflectance in [0, 1], as open_scene does")


def _warn_of_range(image: torch.Tensor, model: Model) -> None:
    low, high = model.card.value_range if model.card is not None else (0.0, 1.0)
    largest = float(image.max())
    if largest > low + 2 * (high - low):
        warnings.warn(
            f"the scene's values reach {largest:g}; {model.name} was trained on {low:g} to {high:g}: divide "
            "by the scene's scale factor first",
            FinewaveWarning,
            stacklevel=3,
        )
