"""Scene in, scene out: bands found by wavelength, georeference kept, large scenes in tiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.inference.matching.band_selection import filled
from finewave.inference.options import PredictOptions
from finewave.inference.processing import Processing, choose_processing
from finewave.inference.request import PredictionRequest, make_request, warn_of_facts
from finewave.inference.tiling.halo_check import warn_halo_error
from finewave.inference.tiling.plan import plan_tiles
from finewave.inference.tiling.sources import masked
from finewave.inference.tiling.tile_run import TileResult, read_tile, run_tile, window_of
from finewave.inference.tiling.tiles import Tile, Tiling, enlarged

if TYPE_CHECKING:
    import xarray as xr

    from finewave.zoo.runnable import RunnableModel


def super_resolve(
    scene: xr.DataArray,
    model: RunnableModel | str,
    guide: xr.DataArray | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> xr.DataArray:
    """Apply a model to a scene.

    Large scenes are processed in overlapping tiles. The result of a scene of dask arrays is lazy, with one dask chunk
    per tile. That of any other scene is held in memory; `predict_file` works from file to file instead.

    Parameters
    ----------
    scene : xarray.DataArray with dims (band, y, x)
        Reflectance-like values in the model's range, as `open_scene` returns them.
    model : Model, str or torch.nn.Module
        From `load_model`, or its argument; a file of `finewave.export`, ``.onnx``; the name of a
        baseline, see `finewave.inference.image_baselines`; or a network, see `finewave.Model`.
    guide : xarray.DataArray, optional
        The second image of a model that takes two: the HR-MSI (band, y, x) of ``fusion``, s times as many rows and
        columns, aligned with the scene; or the RGB reference of ``refsr``, of any size and viewpoint, with which the
        scene is processed in one piece, never in tiles. An HR-MSI on another grid than the scene's, by the
        georeferences of both, is brought there, with a warning.
    progress : callable, optional
        Called with the number of tiles done and of all tiles, after each; not for dask arrays.
    **options
        ``tile``, ``halo``, ``pooling``, ``anchors``, ``consistent``, ``self_ensemble``, ``clip``, ``window``,
        ``bbox``, ``bands``, ``uncertainty``, of baselines ``sensor``, ``scale``, ``kernel``, ``spectra``, and of
        weights for any sensor ``sensor``, ``scale``, ``wavelengths``: see `finewave.inference.options.PredictOptions`.

    Returns
    -------
    xarray.DataArray with dims (band, y, x)
        float32, s times as many rows and columns, with the card's wavelengths in nm, the scene's CRS,
        transform and coordinates at the new pixel size (pixel areas keep their place), NaN where an input
        pixel was not finite, and in ``attrs`` the model's name (``model``), card (``model_card``) and arithmetic
        (``model_precision``), and s (``upscaling``).

    Raises
    ------
    InputError
        A ``ValueError``, if the dimensions, values or bands of scene or guide are not what the model takes, a guide is
        missing or one too many, its size does not belong to the scene's, an option is unknown or out of range, or a
        consistent result cannot be computed.

    Warns
    -----
    FinewaveWarning
        If bands are left out, the scene comes from another sensor, its values are far beyond the model's
        range, a guide was brought to another grid, tiles are not exact, values were cut by ``clip``, or for the reasons
        of `Model.predict`.
    """
    result, half_width = _resolved(scene, model, guide, PredictOptions.in_memory(options), progress)
    if half_width is None:
        return result
    coordinate = half_width.variable.copy(deep=False)
    coordinate.attrs = {"quantity": half_width.attrs["quantity"]}
    return result.assign_coords(uncertainty=coordinate)


def super_resolve_with_spread(
    scene: xr.DataArray,
    model: RunnableModel | str,
    guide: xr.DataArray | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> tuple[xr.DataArray, xr.DataArray]:
    """Apply a model to a scene in its eight orientations, and return mean and spread of the results.

    Parameters
    ----------
    scene, model, guide, progress, **options
        See `super_resolve`.

    Returns
    -------
    result : xarray.DataArray with dims (band, y, x)
        That of `super_resolve` with ``self_ensemble=True``.
    spread : xarray.DataArray with dims (band, y, x)
        Standard deviation of the eight results in each pixel and band, in the result's unit, before clipping: the
        root of the mean squared distance from their mean. With ``consistent`` each of the eight is. Of dask arrays,
        both are lazy; computed together (``dask.compute``), the network is run once for both.
    """
    settings = replace(PredictOptions.in_memory(options), spread=True, uncertainty=None)
    result, spread = _resolved(scene, model, guide, settings, progress)
    assert spread is not None
    return result, spread


def _resolved(
    scene: xr.DataArray,
    model: RunnableModel | str,
    guide: xr.DataArray | None,
    options: PredictOptions,
    progress: Callable[[int, int], None] | None,
) -> tuple[xr.DataArray, xr.DataArray | None]:
    """Return result and, if requested, spread."""
    from finewave.inference.image_baselines import is_any_sensor, is_built, load_runnable, model_to_run
    from finewave.scene import check_scene

    scene = check_scene(scene)
    if not is_built(model):
        model = load_runnable(model, options.precision)
    if not is_any_sensor(model) and options.wavelengths is not None:
        raise InputError(
            "wavelengths= of a scene in memory is for weights for any sensor, whose result has them; a scene's own are "
            "its coordinate: with scene.assign_coords(wavelength=('band', ...))"
        )
    if is_any_sensor(model) and options.scale not in (None, 1):
        model, scene, options = _enlarged(model, scene, options)
    runnable = model_to_run(model, scene, guide, options)
    model = runnable.with_pooling(options.pooling or runnable.tile_pooling).with_resolved_precision()
    request = make_request(scene, model, guide, options)
    if model.looks_at_its_images:
        from finewave.inference.corrections.adaptation import adapted

        request = adapted(request)
    model = request.model
    processing = choose_processing(model, options, request.kept)
    if options.consistent:
        from finewave.inference.corrections.damping import with_damping

        processing = with_damping(processing, request, options)
    height, width = request.first.sizes["y"], request.first.sizes["x"]
    tiling = plan_tiles(model, height, width, tile=options.tile, halo=options.halo, beyond=processing.reach)
    request.warn_of_range()
    if options.anchors is not None:
        from finewave.inference.spots.anchors import with_anchors

        processing = with_anchors(processing, request, tiling, options.anchors)
    lazy = any(image.chunks is not None for image in request.scenes.values())
    values, spread = _lazy(request, tiling, processing) if lazy else _at_once(request, tiling, processing, progress)
    return request.result(values), None if spread is None else request.second(spread, processing)


def _enlarged(
    model: RunnableModel | str, scene: xr.DataArray, options: PredictOptions
) -> tuple[RunnableModel, xr.DataArray, PredictOptions]:
    """Return weights for any sensor made for the finer pixels of a scene, that scene, and options of what is left."""
    from finewave.inference.any_scale import FACTORS, averaged_down, check_scale, factor_for, of_spectra
    from finewave.inference.sensor_choice import model_for

    scale = check_scale(options)
    made = model_for(model, scene, options, pixels=scale)
    part: dict[str, Any] = {"window": options.window, "bbox": options.bbox}
    finer = scene
    for name in FACTORS[factor_for(scale)]:
        finer = super_resolve(finer, name, tile=options.tile, halo=options.halo, **part)
        part = {}
    return made, averaged_down(finer, scene, factor_for(scale), scale), of_spectra(options)


def _at_once(
    request: PredictionRequest, tiling: Tiling, processing: Processing, progress: Callable[[int, int], None] | None
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return the output (C, s h, s w), tile by tile, and its spread if requested."""
    sources = request.sources()
    warn_halo_error(request.model, sources, tiling, processing.reach)
    scale = request.model.upscaling
    results: list[NDArray[np.float32]] = []
    facts = []
    for done, tile in enumerate(tiling, start=1):
        images = read_tile(sources, tile, tiling)
        made = run_tile(request.model, images, tile, tiling, processing)
        facts.append(made.facts)
        parts = [made.values] if made.spread is None else [made.values, made.spread]
        if len(tiling) == 1:
            results = parts
        else:
            if not results:
                shape = (len(made.values), tiling.height * scale, tiling.width * scale)
                results = [np.empty(shape, np.float32) for _ in parts]
            rows, columns = enlarged(tile.core, scale)
            for result, part in zip(results, parts, strict=True):
                result[:, rows, columns] = part
        if progress is not None:
            progress(done, len(tiling))
    warn_of_facts(request, facts, processing)
    return results[0], results[1] if processing.makes_second else None


def _lazy(request: PredictionRequest, tiling: Tiling, processing: Processing) -> tuple[Any, Any]:
    """Return the output (C, s h, s w), and its spread if requested, as dask arrays with a chunk for each tile."""
    import dask
    import dask.array as da

    model = request.model
    bands = request.output_bands
    if bands is None:
        raise InputError(f"{model.name} does not say how many bands it makes; load the scene first: scene.load()")
    arrays = {
        name: filled(
            masked(_as_dask(image)[list(request.bands[name].indices)], image.attrs.get("_FillValue")),
            request.bands[name].fills,
        )
        for name, image in request.scenes.items()
    }
    shared = dask.delayed(model, traverse=False)
    how = dask.delayed(processing, traverse=False)
    rows, columns = tiling.grid

    def made(number: int) -> Any:
        tile = tiling[number]
        images = {}
        for name, array in arrays.items():
            window = window_of(name, tile, tiling, request.ratio(name))
            images[name] = array if window is None else array[:, window[0], window[1]]
        return dask.delayed(_run)(shared, images, tile, tiling, how)

    tiles = [made(number) for number in range(len(tiling))]

    def whole(get: Callable[[TileResult], Any]) -> Any:
        def chunk(number: int) -> Any:
            core = [each.stop - each.start for each in enlarged(tiling[number].core, model.upscaling)]
            return da.from_delayed(dask.delayed(get)(tiles[number]), (bands, *core), np.float32)

        return da.block([[chunk(row * columns + column) for column in range(columns)] for row in range(rows)])

    return whole(_values_of), whole(_spread_of) if processing.makes_second else None


def _as_dask(image: xr.DataArray) -> Any:
    return image.data if image.chunks is not None else image.chunk().data


def _run(
    model: RunnableModel, images: Mapping[str, NDArray[Any]], tile: Tile, tiling: Tiling, processing: Processing
) -> TileResult:
    return run_tile(model, images, tile, tiling, processing)


def _values_of(made: TileResult) -> NDArray[np.float32]:
    return made.values


def _spread_of(made: TileResult) -> NDArray[np.float32] | None:
    return made.spread
