"""One file through a model, in bounded memory: in one piece, or tile by tile, kept until all are finished."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finewave.errors import InputError
from finewave.inference.image_baselines import is_any_sensor, model_to_run
from finewave.inference.machine.memory import tile_within
from finewave.inference.options import PredictOptions, eopf_store, quality_file, stac_file, unfinished_folder
from finewave.inference.processing import Processing, choose_processing
from finewave.inference.request import PredictionRequest, make_request, warn_of_facts
from finewave.inference.tiling.plan import plan_tiles
from finewave.inference.tiling.resume import (
    ResumeStore,
    commit_job,
    discard_job,
    locked,
    open_job,
    stores_in,
)
from finewave.inference.tiling.sources import SceneFile, stamp_of
from finewave.inference.tiling.tile_numbers import ZARR, values_of
from finewave.inference.tiling.tile_run import TileFacts, read_tile, run_tile
from finewave.inference.tiling.tiles import Tiling
from finewave.io.file_errors import writing
from finewave.io.network.location import Location, Remote
from finewave.io.open_options import BANDS_BY_RESOLUTION
from finewave.io.open_save import open_scene, save_scene
from finewave.io.sole_writer import sole_writer
from finewave.process.collector import resume_collector
from finewave.warnings import FinewaveWarning, RadianceWarning
from finewave.zoo.distribution import hub

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

    from finewave.inference.machine.engine import ProgressCallback
    from finewave.inference.machine.process_pool import SavedModel
    from finewave.inference.quality import QualityScorer
    from finewave.io.formats.storage import Storage
    from finewave.io.open_options import SaveOptions
    from finewave.zoo.runnable import RunnableModel

COG_EXTENSIONS = (".tif", ".tiff", ".gtiff")
_ARITHMETIC = "arithmetic"
_SMALL_BYTES = 2**26
"""Bytes up to which an output of one tile is made without a look at the disk: it takes seconds."""


def run_file(
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
    """Apply a model to a file and write the result under its final name when complete.

    Parameters
    ----------
    source : Path or Remote
    output : Path
    model : Model or str
        Or the name of a baseline, which is built for the file.
    guide : Path or Remote, optional
    options : PredictOptions
    client : distributed.Client, optional
        Cluster whose workers process the tiles; they need the same files under the same paths.
    model_path : str, optional
        Argument of `load_model` in workers; by default a copy of the model is stored beside the tiles for them.
    progress : callable, optional
        Called with the number of tiles done and of all tiles.
    say : callable, optional
        Called with the size of the output and the time that it will take, before a long run.
    """
    for each in (output, *options.beside(output)):
        _check_target(each)
    # of weights for any sensor, wavelengths are those of the result
    reading = replace(options, wavelengths=None) if is_any_sensor(model) else options
    files = InputFiles(source, guide, reading)
    try:
        if is_any_sensor(model):
            model_path = None  # workers load it from what is saved for them
            files.open_with_more_bands()
        model = model_to_run(model, files.scene, files.guide, options)
        model = model.with_pooling(options.pooling or model.tile_pooling)
        files.open_as_trained(model)
        request = make_request(files.scene, model, files.guide, options)
        if model.looks_at_its_images:
            from finewave.inference.corrections.adaptation import adapted

            request = adapted(request)
        if request.model is not model:
            model, model_path = request.model, None  # workers load it from what is saved for them
        processing = choose_processing(model, options, request.kept)
        if options.consistent:
            from finewave.inference.corrections.damping import with_damping

            processing = with_damping(processing, request, options)
        height, width = request.first.shape[1:]
        tile = options.tile or tile_within(
            options.memory, request, halo=options.halo, beyond=processing.reach, workers=options.workers or 1
        )
        tiling = plan_tiles(model, height, width, tile=tile, halo=options.halo, beyond=processing.reach)
        request.warn_of_range()
        if options.anchors is not None:
            from finewave.inference.spots.anchors import with_anchors

            processing = with_anchors(processing, request, tiling, options.anchors)
        # scores are computed from the stored numbers, so they need a store
        if len(tiling) == 1 and client is None and not options.quality and not unfinished_folder(output).exists():
            with sole_writer(output):
                _in_one_piece(request, tiling, processing, output, options, progress)
        else:
            _tile_by_tile(request, tiling, processing, output, options, files, client, model_path, progress, say)
        if options.stac or options.eopf:
            _describe_output(output, options)
    finally:
        files.close()


def try_options(scene: xr.DataArray, model: RunnableModel, options: PredictOptions, output: Path, folder: Path) -> None:
    """Refuse options by which the result of a scene cannot be made or written; without a warning.

    For a scene that is yet to be computed, so that nothing is computed in vain. A pixel is written in ``folder``.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warned about when it is done
        request = make_request(scene, model.with_pooling(options.pooling or model.tile_pooling), None, options)
        processing = choose_processing(request.model, options, request.kept)
        s = request.model.upscaling
        size = (request.output_bands or 1, s * scene.sizes["y"], s * scene.sizes["x"])
        values = np.broadcast_to(np.float32(0.5), size)
        _try_out(request.result(values), folder, output, options.storage)
        if processing.makes_second:
            _try_out(request.second(values, processing), folder, options.second_file(output), {})


def _describe_output(output: Path, options: PredictOptions) -> None:
    """Write the STAC item of an output, and its EOPF."""
    from finewave.io.stac_item import save_stac_item

    scene = open_scene(output)
    try:
        if options.eopf:
            with writing(eopf_store(output)):
                save_scene(scene, eopf_store(output), layout="eopf")
        if options.stac:
            with writing(stac_file(output)):
                save_stac_item(scene, output, stac_file(output))
    finally:
        scene.close()


class InputFiles:
    """The files of a scene and its guide, open.

    Parameters
    ----------
    source, guide : Path or Remote
    options : PredictOptions
        How they are read.
    """

    def __init__(self, source: Location, guide: Location | None, options: PredictOptions) -> None:
        from finewave.wavelengths import given_wavelengths

        wavelengths = options.wavelengths
        self.paths: list[Location] = [source] if guide is None else [source, guide]
        self.keywords: list[dict[str, Any]] = [
            {
                "wavelengths": None if wavelengths is None else given_wavelengths(wavelengths).tolist(),
                "full_scale": options.full_scale,
                "variable": options.variable,
                "engine": options.engine,
                "band_axis": options.band_axis,
                "resolution": options.resolution,
                "orthorectify": options.orthorectify,
                "mask_clouds": options.mask_clouds,
            },
            {"full_scale": options.guide_full_scale, "variable": options.guide_variable},
        ]
        self.opened: list[xr.DataArray] = []
        try:
            for path, keywords in zip(self.paths, self.keywords, strict=False):
                with nullcontext() if self.opened else _radiance_said_with_the_model():  # which knows no guide's
                    self.opened.append(open_scene(path, **keywords))
        except BaseException:
            self.close()
            raise

    @property
    def scene(self) -> xr.DataArray:
        """The first file."""
        return self.opened[0]

    @property
    def guide(self) -> xr.DataArray | None:
        """The second file."""
        return self.opened[1] if len(self.opened) > 1 else None

    def open_as_trained(self, model: RunnableModel) -> None:
        """Reopen a product at the resolution of the model's bands, if that is not its finest."""
        if self.keywords[0]["resolution"]:
            return
        resolution = _own_resolution(self.scene, model)
        if resolution is not None:
            self._reopen(resolution)
        by_resolution = self._bands_by_resolution()
        if not by_resolution or _has_bands(self.scene, model):
            return
        for coarser in sorted(by_resolution)[1:]:
            self._reopen(coarser)
            if _has_bands(self.scene, model):
                _warn_of_resolution(self.paths[0], coarser, f"which has the bands of {model.name}")
                return
        self._reopen(None)  # refused there

    def open_with_more_bands(self) -> None:
        """Reopen a product of one group a resolution where larger pixels have at least twice as many bands.

        Weights for any sensor answer any bands, better the more there are.
        """
        if self.keywords[0]["resolution"] or not (by_resolution := self._bands_by_resolution()):
            return
        finest = chosen = min(by_resolution)
        for coarser in sorted(by_resolution):
            if len(by_resolution[coarser]) >= 2 * len(by_resolution[chosen]):
                chosen = coarser
        if chosen != finest:
            self._reopen(chosen)
            more = len(by_resolution[chosen]), len(by_resolution[finest])
            _warn_of_resolution(self.paths[0], chosen, f"which has {more[0]} bands, {more[1]} at {finest:g} m")

    def _bands_by_resolution(self) -> dict[float, list[str]]:
        return self.scene.encoding.get(BANDS_BY_RESOLUTION) or {}

    def _reopen(self, resolution: float | None) -> None:
        self.keywords[0]["resolution"] = resolution
        self.scene.close()
        with _radiance_said_with_the_model():
            self.opened[0] = open_scene(self.paths[0], **self.keywords[0])

    def close(self) -> None:
        """Close both."""
        for scene in self.opened:
            scene.close()

    def for_workers(self, request: PredictionRequest) -> dict[str, tuple[SceneFile, int]]:
        """Return the files as workers open them, by the names of the inputs, and `PredictionRequest.ratio`."""
        options = {}
        for name, path, keywords in zip(request.model.inputs, self.paths, self.keywords, strict=False):
            bands, ratio = request.bands[name], request.ratio(name)
            file = SceneFile(
                path.url if isinstance(path, Remote) else str(path.absolute()),
                tuple(keywords.items()),
                bands.indices,
                stamp_of(path),
                bands.fills,
                request.grids.get(name),
                request.part_of(name),
            )
            options[name] = (file, ratio)
        return options


def _in_one_piece(
    request: PredictionRequest,
    tiling: Tiling,
    processing: Processing,
    output: Path,
    options: PredictOptions,
    progress: ProgressCallback | None,
) -> None:
    """Read, run and write a file that is one tile."""
    if progress is not None:
        progress(0, 1)
    _check_space(request, tiling, processing, output, options)
    request.model = request.model.with_resolved_precision()
    made = run_tile(request.model, read_tile(request.sources(), tiling[0], tiling), tiling[0], tiling, processing)
    warn_of_facts(request, [made.facts], processing)
    side = tiling.side * request.model.upscaling
    with writing(output):
        if made.spread is not None:
            _save(request.second(made.spread, processing), options.second_file(output), {}, side)
        _save(request.result(made.values), output, options.storage, side)
    if progress is not None:
        progress(1, 1)


def _tile_by_tile(
    request: PredictionRequest,
    tiling: Tiling,
    processing: Processing,
    output: Path,
    options: PredictOptions,
    files: InputFiles,
    client: Any | None,
    model_path: str | None,
    progress: ProgressCallback | None,
    say: Callable[[str], None] | None,
) -> None:
    """Compute the missing tiles in the store beside the output, then assemble the output."""
    from finewave.inference.machine.engine import TileJob, run_job
    from finewave.inference.machine.process_pool import LoadedModel
    from finewave.inference.tiling.halo_check import warn_halo_error

    scorer = None
    if options.quality:
        from finewave.inference.quality import scorer_of

        scorer = scorer_of(request.model.in_pytorch("--quality (quality=)"))
    description = _description(files, request, tiling, options, processing)
    with locked(output) as folder:
        with writing(output):
            store = _prepare(folder, output, description, request, tiling, options, processing)
        model = request.model = request.model.with_precision(store.precision)
        missing = _missing(store, tiling)
        if missing:
            warn_halo_error(model, request.sources(), tiling, processing.reach)
            if say is not None:
                from finewave.inference.machine.forecast import forecast

                for line in forecast(model, request, tiling, processing, store.storage.dtype, len(missing), options):
                    say(line)
        resume_collector()
        if client is None:
            job = TileJob(LoadedModel(model), request.sources(), tiling, store, processing)
        else:
            saved = _model_for_workers(model, model_path, folder)
            job = TileJob(saved, files.for_workers(request), tiling, store, processing)
        with _kept(store), writing(output):
            run_job(job, missing, client, progress)
            _finish(output, store, request, tiling, options, processing, scorer)
        discard_job(folder)


def _missing(unfinished: ResumeStore, tiling: Tiling) -> list[int]:
    """Return the numbers of the missing tiles; damaged tiles are treated as missing."""
    missing = []
    for number, tile in enumerate(tiling):
        if not unfinished.is_done(number, tile):
            unfinished.discard(number)
            missing.append(number)
    return missing


@contextmanager
def _kept(unfinished: ResumeStore) -> Iterator[None]:
    """Add to an error that the work so far is not lost."""
    try:
        yield
    except InputError as error:
        if not unfinished.any():
            raise
        raise InputError(f"{error}. Finished tiles are kept: the same command resumes from them") from error


def _check_target(output: Path) -> None:
    """Raise an error, before any work, if the output name is used by something else."""
    if output.suffix.lower() == ".zarr":
        if output.exists() and not any((output / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray")):
            raise InputError(f"cannot write {output}: it exists and is not a Zarr store; choose another name")
    elif output.is_dir():
        raise InputError(f"cannot write {output}: it is a folder; give the name of a file")


@contextmanager
def _radiance_said_with_the_model() -> Iterator[None]:
    """Leave out the reader's warning of radiance: whether the model takes it is said when they are put together."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RadianceWarning)
        yield


def _has_bands(scene: xr.DataArray, model: RunnableModel) -> bool:
    """Return whether a model's bands can be found in a scene."""
    from finewave.inference.matching.band_matching import match_bands
    from finewave.scene import check_scene

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warned about when the scene is used
            match_bands(check_scene(scene), model)
    except InputError:
        return False
    return True


def _warn_of_resolution(path: Location, resolution: float, why: str) -> None:
    warnings.warn(
        f"{path} was read with pixels of {resolution:g} m, {why}; state another resolution with resolution= "
        "(--resolution)",
        FinewaveWarning,
        stacklevel=4,
    )


def _own_resolution(scene: xr.DataArray, model: RunnableModel) -> float | None:
    """Return the finest resolution of the bands that the model uses, where that is not the scene's grid.

    A product may have finer bands, which are no reason to interpolate those that the model was trained on.
    """
    from finewave.inference.matching.band_matching import match_bands
    from finewave.scene import check_scene, scene_transform

    transform = scene_transform(scene)
    if "native_resolution" not in scene.coords or transform is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warned about when the scene is used
        bands = match_bands(check_scene(scene), model)
    finest = float(scene.coords["native_resolution"].values[bands].min())
    return finest if finest > 1.01 * abs(transform.determinant) ** 0.5 else None


def _description(
    files: InputFiles, request: PredictionRequest, tiling: Tiling, options: PredictOptions, processing: Processing
) -> dict[str, Any]:
    """Return everything that the output depends on, by name, so that `open_job` can name differences."""
    import finewave

    model = request.model
    job = {
        "version": finewave.__version__,
        **{
            f"input {name}": f"{path if isinstance(path, Remote) else path.absolute()} {stamp_of(path)}"
            for name, path in zip(model.inputs, files.paths, strict=False)
        },
        "bands": {name: bands.to_list() for name, bands in request.bands.items()},
        "wavelengths": None if options.wavelengths is None else str(options.wavelengths),
        "variable": [options.variable, options.guide_variable, options.engine, options.band_axis],
        "resolution": [options.resolution, options.orthorectify, options.mask_clouds],
        "full scale": [options.full_scale, options.guide_full_scale],
        "model": f"{model.name} {model.fingerprint()}",
        "pooling": model.pooling,
        "precision": model.precision,
        "tile": [tiling.side, tiling.height, tiling.width],
        "halo": [tiling.halo, *tiling.later, tiling.border],
        **({} if request.window is None else {"window": str(request.window)}),
        **processing.identity(),
        "storage": {key: None if value is None else str(value) for key, value in options.storage.items()},
    }
    return json.loads(json.dumps(job))


def _prepare(
    folder: Path,
    output: Path,
    job: dict[str, Any],
    request: PredictionRequest,
    tiling: Tiling,
    options: PredictOptions,
    processing: Processing,
) -> ResumeStore:
    """Return the store for the tiles: the one that an earlier run has left, or a new one."""
    from finewave.io.formats.storage import choose_storage
    from finewave.io.open_options import SaveOptions

    before = open_job(folder, output, job, restart=options.restart)
    model, s = request.model, request.model.upscaling
    blocks = _no_values(request, tiling)
    template = request.result(blocks)
    # a store that becomes the output itself is laid out as it should be
    interleave = options.interleave if output.suffix.lower() == ".zarr" else "pixel"
    layout = {} if interleave is None else {"interleave": interleave}
    save_options = SaveOptions(
        dtype=options.dtype, scale=options.output_full_scale, nodata=options.nodata, format_options=layout
    )
    spread = request.second(blocks, processing) if processing.makes_second else None
    as_floats = SaveOptions(format_options=layout)
    kinds = [(template, save_options)] + ([] if spread is None else [(spread, as_floats)])
    stores = stores_in(folder.absolute(), output)
    _check_space(request, tiling, processing, output, options, stores)
    storages = [choose_storage(each, how) for each, how in kinds]
    if before is None:
        for (each, _), stated in zip(kinds, (options.storage, {}), strict=False):
            _try_out(each, folder, output, stated)
        side = min(tiling.side, max(tiling.height, tiling.width)) * s
        for (each, how), store in zip(kinds, stores, strict=False):
            _lay_out(each, store, how, side)
        # stored: another machine that resumes the run might choose differently
        before = {**job, _ARITHMETIC: model.with_resolved_precision().precision}
        commit_job(folder, before)
    return ResumeStore(*stores, storages[0], s, before[_ARITHMETIC], None if spread is None else storages[1])


def _no_values(request: PredictionRequest, tiling: Tiling) -> Any:
    """Return an array (bands, y, x) of the size of the output that takes no memory."""
    bands, s = request.output_bands, request.model.upscaling
    if bands is None:
        raise InputError(f"{request.model.name} does not say how many bands it makes; give its network hs_bands")
    return np.broadcast_to(np.float32(np.nan), (bands, tiling.height * s, tiling.width * s))


def _check_space(
    request: PredictionRequest,
    tiling: Tiling,
    processing: Processing,
    output: Path,
    options: PredictOptions,
    stores: Sequence[Path] = (),
) -> None:
    """Refuse an output that the disk has no room for; ``stores`` are those of its tiles, if it is made of some."""
    if request.output_bands is None:
        return
    blocks = _no_values(request, tiling)
    if not stores and blocks.nbytes <= _SMALL_BYTES:
        return
    from finewave.inference.machine.disk_space import Part, check_space, output_part
    from finewave.io.formats.storage import choose_storage
    from finewave.io.open_options import SaveOptions

    how = SaveOptions(dtype=options.dtype, scale=options.output_full_scale, nodata=options.nodata)
    itemsize = choose_storage(request.result(blocks), how).dtype.itemsize
    sizes = {output: blocks.size * itemsize}
    if processing.makes_second:
        sizes[options.second_file(output)] = blocks.nbytes
    parts = [output_part(path, size, of_tiles=bool(stores)) for path, size in sizes.items()]
    if stores and output.suffix.lower() != ZARR:  # of Zarr the tiles are the output
        parts.append(Part("temporary tiles", sum(sizes.values()), packed=False))
    present = sum(each.stat().st_size for store in stores for each in store.rglob("*") if each.is_file())
    check_space(output, parts, present, of_tiles=bool(stores), smaller_type=itemsize > 2)


def _lay_out(template: xr.DataArray, store: Path, options: SaveOptions, side: int) -> None:
    """Create a store without tiles."""
    if store.suffix == ZARR:
        from finewave.io.formats.zarr_store import lay_out

        lay_out(template, store, options, side)
    else:
        store.mkdir()


def _try_out(template: xr.DataArray, folder: Path, output: Path, storage: dict[str, Any]) -> None:
    """Write one pixel in the output's format, so that limits of the format show before the work."""
    pixel = template[:, :1, :1].copy(data=np.zeros((template.sizes["band"], 1, 1), np.float32))
    trial = folder / f"trial{output.suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _save(pixel, trial, storage)
        except InputError as error:  # in words about the file that the user asked for
            named = (
                str(error)
                .replace(str(trial.with_suffix("")), str(output.with_suffix("")))
                .replace(trial.name, output.name)
            )
            raise InputError(named) from error
    for each in folder.glob("trial*"):
        if each.is_dir():
            from finewave.io.atomic import remove_folder

            remove_folder(each)
        else:
            each.unlink()


def _model_for_workers(model: RunnableModel, path: str | None, folder: Path) -> SavedModel:
    """Return the model as workers load it."""
    from finewave.inference.machine.process_pool import SavedModel

    if path is None or path.startswith(hub.PREFIX):  # workers may have no network, and a branch may move
        path = str(model.in_pytorch("--workers and --cluster (workers=, cluster=)").save(folder / "model").absolute())
    elif os.path.exists(path):  # noqa: PTH110 - a name such as jssunet-cave-x4 is not a path
        path = str(Path(path).absolute())
    return SavedModel(path, model.precision, model.pooling, model.device, model.fingerprint())


def _finish(
    output: Path,
    unfinished: ResumeStore,
    request: PredictionRequest,
    tiling: Tiling,
    options: PredictOptions,
    processing: Processing,
    scorer: QualityScorer | None,
) -> None:
    """Convert the finished tiles to the output's format and name; additional files are written first."""
    records = [unfinished.facts(number) for number in range(len(tiling))]
    assert all(record is not None for record in records)
    known = [record for record in records if record is not None]
    facts = [TileFacts(*(record[each.name] for each in fields(TileFacts))) for record in known]
    warn_of_facts(request, facts, processing)
    unfinished.warn(output, known)
    side = tiling.side * request.model.upscaling
    if scorer is not None:
        from finewave.inference.quality import quality_of, write_quality

        scene = _scene_in(unfinished.scene, unfinished.storage, request, tiling)
        try:
            write_quality(quality_file(output), quality_of(scene, request, scorer, tiling))
        finally:
            scene.close()
    if processing.makes_second:
        second = options.second_file(output)
        if unfinished.spread.suffix == ZARR:
            _rename(unfinished.spread, second)
        else:
            assert unfinished.spread_storage is not None
            spread = _scene_in(unfinished.spread, unfinished.spread_storage, request, tiling, processing)
            _save(spread, second, {}, side)
    if unfinished.scene.suffix == ZARR:
        _rename(unfinished.scene, output)
    else:
        _save(_scene_in(unfinished.scene, unfinished.storage, request, tiling), output, options.storage, side)


def _rename(store: Path, output: Path) -> None:
    """Give a finished Zarr store its name."""
    from finewave.io.atomic import atomic_output

    with atomic_output(output) as temporary:
        store.rename(temporary)


def _scene_in(
    store: Path, storage: Storage, request: PredictionRequest, tiling: Tiling, second: Processing | None = None
) -> xr.DataArray:
    """Return the scene in a store of finished tiles, or what goes beside it if its processing is given; lazy."""
    if store.suffix == ZARR:
        return open_scene(store)
    assert request.output_bands is not None  # checked when the store was created
    values, decoding = values_of(store, tiling, request.model.upscaling, request.output_bands, storage)
    scene = request.result(values) if second is None else request.second(values, second)
    scene.encoding = {**scene.encoding, **decoding.encoding}
    return scene


def _save(scene: xr.DataArray, output: Path, storage: dict[str, Any], side: int | None = None) -> None:
    """Save a scene; ``side`` is that of its tiles in pixels, if it has some."""
    if side is not None:
        scene.encoding["preferred_chunks"] = {"y": side, "x": side}
    more: dict[str, Any] = {"cog": True} if output.suffix.lower() in COG_EXTENSIONS else {}
    save_scene(scene, output, **storage, **more)
