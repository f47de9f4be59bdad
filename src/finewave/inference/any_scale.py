"""Enlarging by any number: by the next larger factor of the weights for any bands, then averaged down over areas.

The average over an area is what a detector of that size observes; so what is averaged down from a finer image is
consistent with the scene, if the finer image is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.inference.image_baselines import load_runnable
from finewave.inference.options import PredictOptions
from finewave.inference.predict_file import run_file, try_options
from finewave.inference.tiling.resume import another_run, differing_facts, finished_tiles, stored_job
from finewave.io.atomic import remove_folder
from finewave.io.file_errors import writing
from finewave.io.open_save import open_scene, save_scene
from finewave.io.sole_writer import sole_writer
from finewave.scene import resized
from finewave.zoo.card import Card
from finewave.zoo.distribution.bundled_weights import CARD, weight_folders
from finewave.zoo.names import ANY_SENSOR

if TYPE_CHECKING:
    import xarray as xr

    from finewave.inference.machine.engine import ProgressCallback
    from finewave.io.network.location import Location
    from finewave.zoo.runnable import RunnableModel

LARGEST = 8
FACTORS: dict[int, tuple[str, ...]] = {
    2: ("bandwise-sr-any-x2",),
    4: ("bandwise-sr-any-x4",),
    8: ("bandwise-sr-any-x4", "bandwise-sr-any-x2"),
}
"""Weights that enlarge any bands, one after another, by the factor that they make together."""
ENLARGED = "enlarged"
"""Attribute of a scene: how many times finer it is than the scene that it was made of."""
BLOCK = 512
"""Side in pixels of what is averaged at a time."""
LEAST_PART = 0.5 - 1e-4
"""Least part of the area of a new pixel that has values."""
RESULT = 2
"""Of the enlargement: raised with every change of its numbers, so that no part of an earlier one is continued."""
_ONLY_OF_THE_SCENE = ("anchors", "consistent", "uncertainty", "quality")
_JOB, _FINER = "input.json", "finer.zarr"


def check_scale(options: PredictOptions) -> float:
    """Return the scale of the options, or refuse it, and options that need an observation model of it."""
    scale = float(options.scale or 1)
    if scale > LARGEST:
        raise InputError(f"scale={options.scale!r} is out of range; weights for any sensor enlarge by 1 to {LARGEST}")
    if scale != 1:
        for name in _ONLY_OF_THE_SCENE:
            if getattr(options, name):
                raise InputError(f"{name}= cannot be had with scale={scale:g} of weights for any sensor; leave one out")
    return scale


def factor_for(scale: float) -> int:
    """Return the least of `FACTORS` that is no less than a scale."""
    return next(factor for factor in FACTORS if factor >= scale)


def finer_size(length: int, scale: float) -> int:
    """Return how many pixels a side has after enlarging."""
    return max(1, round(scale * length))


def area_averaged(
    read: Callable[[slice, slice], NDArray[np.float32]],
    size: tuple[int, int],
    ratio: float,
    rows: slice,
    columns: slice,
) -> NDArray[np.float32]:
    """Return pixels that are ``ratio`` >= 1 times as large as those of an image, each the mean over its area.

    Parameters
    ----------
    read : callable
        Returns a window (c, rows, columns) of the image.
    size : (int, int)
        Height and width of the image.
    ratio : float
        Sides of a pixel of the result in pixels of the image; corners of both lie on each other.
    rows, columns : slice
        Which pixels of the result. What lies beyond the image, or is not finite, does not count; where less than half
        of the area counts, the result is NaN.
    """
    (across_rows, y), (across_columns, x) = (
        _overlaps(part, length, ratio) for part, length in zip((rows, columns), size, strict=True)
    )
    values = read(y, x)
    finite = np.isfinite(values)
    if finite.all():
        return _sums(values, across_rows, across_columns)
    # a weight of zero times NaN is NaN: one missing pixel would take its rows and columns along
    counted = _sums(finite.astype(np.float32), across_rows, across_columns)
    sums = _sums(np.where(finite, values, np.float32(0)), across_rows, across_columns)
    averaged: NDArray[np.float32] = np.where(counted >= LEAST_PART, sums / np.maximum(counted, LEAST_PART), np.nan)
    return averaged.astype(np.float32)


def _sums(
    values: NDArray[np.float32], across_rows: NDArray[np.float32], across_columns: NDArray[np.float32]
) -> NDArray[np.float32]:
    sums: NDArray[np.float32] = (across_rows @ (values @ across_columns.T)).astype(np.float32)
    return sums


def _overlaps(part: slice, length: int, ratio: float) -> tuple[NDArray[np.float32], slice]:
    """Return weights (n, m) of m old pixels in n new ones, and which old ones these are."""
    edges = np.clip(np.arange(part.start, part.stop + 1) * ratio, 0, length)
    first = min(int(np.floor(edges[0])), length - 1)
    last = max(first + 1, int(np.ceil(edges[-1] - 1e-9)))
    old = np.arange(first, last + 1)
    low, high = np.maximum(edges[:-1, None], old[None, :-1]), np.minimum(edges[1:, None], old[None, 1:])
    weights = np.clip(high - low, 0, None)
    empty = weights.sum(1) <= 1e-9  # a new pixel wholly beyond the image: the last old one
    weights[empty, -1] = 1
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32), slice(first, last)


def averaged_down(enlarged: xr.DataArray, scene: xr.DataArray, factor: int, scale: float) -> xr.DataArray:
    """Return a scene ``scale`` times finer from one that is ``factor`` times finer, lazily by blocks (dask).

    Parameters
    ----------
    enlarged : xarray.DataArray
        Of the scene, or of a part of it.
    scene : xarray.DataArray
        What it was made of: its sensor, and what is known of its bands, are kept.
    factor : int
    scale : float
        At most the factor.
    """
    import dask
    import dask.array as da

    height, width = (finer_size(enlarged.sizes[axis] // factor, scale) for axis in ("y", "x"))
    size = (enlarged.sizes["y"], enlarged.sizes["x"])
    stored, bands = enlarged.variable, enlarged.sizes["band"]

    def read(rows: slice, columns: slice) -> NDArray[np.float32]:
        return np.asarray(stored[:, rows, columns].values, dtype=np.float32)

    def block(row: int, column: int) -> Any:
        rows, columns = slice(row, min(row + BLOCK, height)), slice(column, min(column + BLOCK, width))
        shape = (bands, rows.stop - rows.start, columns.stop - columns.start)
        made = dask.delayed(area_averaged, traverse=False)(read, size, factor / scale, rows, columns)
        return da.from_delayed(made, shape, np.float32)

    values = da.block([[block(row, column) for column in range(0, width, BLOCK)] for row in range(0, height, BLOCK)])
    result = resized(enlarged, values, factor / scale)
    result.attrs[ENLARGED] = scale
    if "sensor" in scene.attrs:
        result.attrs["sensor"] = scene.attrs["sensor"]
    if scene.sizes["band"] != bands:  # bad ones are left out
        return result
    encoding = dict(result.encoding)
    result = result.assign_coords(
        {name: each.variable for name, each in scene.coords.items() if each.dims == ("band",)}
    )
    result.encoding = encoding
    return result


def run_enlarged(
    source: Location,
    output: Path,
    model: RunnableModel | str | Path,
    *,
    guide: Location | None = None,
    options: PredictOptions,
    client: Any | None = None,
    model_path: str | None = None,
    progress: ProgressCallback | None = None,
    say: Callable[[str], None] | None = None,
) -> None:
    """Apply weights for any sensor to a file that is enlarged first; see `finewave.inference.predict_file.run_file`.

    The enlarged bands are in a hidden folder beside the output until it is complete, so that a run that was stopped
    resumes. Whatever is refused meanwhile, what is finished stays there.
    """
    from finewave.inference.predict_file import InputFiles
    from finewave.inference.sensor_choice import model_for

    del model_path  # what runs is made here
    if guide is not None:
        raise InputError(f"{ANY_SENSOR} takes hr_msi alone; a guide was given")
    scale = check_scale(options)
    folder = enlarged_folder(output)
    files = InputFiles(source, None, replace(options, wavelengths=None))
    try:
        files.open_with_more_bands()
        made = model_for(model, files.scene, options, pixels=scale)
        files.open_as_trained(made)
        with sole_writer(folder), _kept(folder):
            _open(folder, output, _job(source, files, options, scale), restart=options.restart)
            last = of_spectra(options)
            try_options(_as_enlarged(files.scene, options, scale), made, last, output, folder)
            finer = folder / _FINER
            if not finer.exists():
                _enlarge(source, finer, files.scene, scale, _of_bands(options, files), client, say)
            run_file(finer, output, made, options=last, client=client, progress=progress, say=say)
            remove_folder(folder)
    finally:
        files.close()


def enlarged_folder(output: Path) -> Path:
    """Return the hidden folder with the enlarged bands of an unfinished output."""
    return output.with_name(f".{output.name}.enlarged")


def _job(source: Location, files: Any, options: PredictOptions, scale: float) -> dict[str, Any]:
    """Return all that the enlarged bands depend on, by name, so that differences can be named."""
    import finewave
    from finewave.inference.tiling.sources import stamp_of

    needed = FACTORS[factor_for(scale)]
    weights = {name: Card.read(each / CARD).sha256 for name, each in weight_folders().items() if name in needed}
    job = {
        "version": f"{finewave.__version__} {RESULT}",
        "input": f"{source.absolute() if isinstance(source, Path) else source} {stamp_of(source)}",
        "how it is read": files.keywords[0],
        "scale": scale,
        "window": [options.window, options.bbox],
        "precision": options.precision,
        "halo": options.halo,
        "weights": weights,
    }
    return json.loads(json.dumps(job, default=str))


def _open(folder: Path, output: Path, job: dict[str, Any], *, restart: bool) -> None:
    """Prepare the folder for a job; one with finished work of another job is refused."""
    if not restart and _has_finished(folder):
        differing = differing_facts(stored_job(folder / _JOB) or {}, job)
        if not differing:
            return
        raise another_run(folder, differing)
    with writing(output):
        if folder.exists():
            remove_folder(folder)
        folder.mkdir()
        (folder / _JOB).write_text(json.dumps(job), encoding="utf-8")


def _has_finished(folder: Path) -> bool:
    """Return whether a folder holds work that a run can resume from: an enlargement, or a tile of one."""
    steps = [folder / f"step{number}.zarr" for number in range(max(map(len, FACTORS.values())))]
    return any(each.exists() for each in (folder / _FINER, *steps)) or any(finished_tiles(each) for each in steps)


@contextmanager
def _kept(folder: Path) -> Iterator[None]:
    """Remove a folder without finished work after an error; add to the error that the work is kept, otherwise."""
    try:
        yield
    except InputError as error:
        if not folder.exists():
            raise
        if not _has_finished(folder):
            remove_folder(folder)
            raise
        raise InputError(f"{error}. What is enlarged so far is kept") from error


def _as_enlarged(scene: xr.DataArray, options: PredictOptions, scale: float) -> xr.DataArray:
    """Return what the enlarged scene will be like but for its values, which are all one number and take no memory."""
    if options.window is not None or options.bbox is not None:
        from finewave.inference.tiling.grid import cropped, window_asked_for

        window = window_asked_for(scene, options.window, options.bbox)
        assert window is not None
        scene = cropped(scene, window)
    size = (scene.sizes["band"], *(finer_size(scene.sizes[axis], scale) for axis in ("y", "x")))
    result = resized(scene, np.broadcast_to(np.float32(0.5), size), 1 / scale)
    result.attrs[ENLARGED] = scale
    return result


def _of_bands(options: PredictOptions, files: Any) -> PredictOptions:
    """Return options of the first step: how the input is read."""
    names = (
        *("variable", "engine", "band_axis", "orthorectify", "mask_clouds", "full_scale", "window", "bbox"),
        *("tile", "memory", "halo", "precision", "workers", "cluster", "device", "restart"),
    )
    return PredictOptions(
        **{name: getattr(options, name) for name in names}, resolution=files.keywords[0]["resolution"]
    )


def of_spectra(options: PredictOptions) -> PredictOptions:
    """Return options of the last step: how the result is made and written."""
    read = ("wavelengths", "variable", "engine", "band_axis", "resolution", "full_scale", "window", "bbox")
    stated = ("sensor", "scale")
    left: dict[str, Any] = {**dict.fromkeys((*read, *stated)), "orthorectify": False, "mask_clouds": False}
    return replace(options, **left)


def _enlarge(
    source: Location,
    finer: Path,
    scene: xr.DataArray,
    scale: float,
    options: PredictOptions,
    client: Any | None,
    say: Callable[[str], None] | None,
) -> None:
    """Write the scene's bands, ``scale`` times finer, as a store ``finer``."""
    factor = factor_for(scale)
    place: Location = source
    for number, name in enumerate(FACTORS[factor]):
        target = finer.with_name(f"step{number}.zarr")
        if not target.exists():
            own = options if number == 0 else _after_the_first(options)
            model = load_runnable(name, options.precision)
            run_file(place, target, model, options=own, client=client, model_path=name, say=say)
        place = target
    assert isinstance(place, Path)
    enlarged = open_scene(place)
    try:
        save_scene(averaged_down(enlarged, scene, factor, scale), finer)
    finally:
        enlarged.close()
    for number in range(len(FACTORS[factor])):
        remove_folder(finer.with_name(f"step{number}.zarr"))


def _after_the_first(options: PredictOptions) -> PredictOptions:
    names = ("tile", "memory", "halo", "precision", "workers", "cluster", "device", "restart")
    return PredictOptions(**{name: getattr(options, name) for name in names})
