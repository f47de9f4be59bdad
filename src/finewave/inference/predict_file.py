"""One file through a model, in bounded memory, tile by tile; what is finished is kept until all is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finewave.errors import InputError
from finewave.inference.band_selection import BandSelection
from finewave.inference.engine import ProgressCallback, TileJob, run_job
from finewave.inference.process_pool import LoadedModel, SavedModel
from finewave.inference.processing import Processing, choose_processing
from finewave.inference.quality import Scorer, quality_of, scorer_of, write_quality
from finewave.inference.request import Request, make_request
from finewave.inference.resume import ResumeStore, commit_job, discard_job, locked, open_job, spread_store_in, store_in
from finewave.inference.super_resolve import warn_of_facts
from finewave.inference.tiling.halo_check import warn_halo_error
from finewave.inference.tiling.plan import plan_tiles
from finewave.inference.tiling.sources import SceneFile, stamp_of
from finewave.inference.tiling.tile_run import TileFacts
from finewave.inference.tiling.tiles import Tiling
from finewave.io.file_errors import writing
from finewave.zoo import hub

if TYPE_CHECKING:
    import xarray as xr

    from finewave.io.open_options import SaveOptions
    from finewave.zoo.model import Model

COG_EXTENSIONS = (".tif", ".tiff", ".gtiff")
_ARITHMETIC = "arithmetic"


@dataclass(frozen=True)
class FileOptions:
    """How `predict_file` works; see there."""

    wavelengths: Any = None
    tile: int | None = None
    halo: str | int = "exact"
    dtype: str | None = None
    output_full_scale: float | None = None
    nodata: float | None = None
    restart: bool = False
    consistent: bool = False
    self_ensemble: bool = False
    uncertainty: bool = False
    clip: Sequence[float] | None = None
    quality: bool = False
    variable: str | None = None
    guide_variable: str | None = None
    engine: str | None = None
    full_scale: float | None = None
    guide_full_scale: float | None = None

    @property
    def storage(self) -> dict[str, Any]:
        """Keywords of `save_scene`."""
        return {"dtype": self.dtype, "full_scale": self.output_full_scale, "nodata": self.nodata}

    @property
    def save_options(self) -> SaveOptions:
        """The same for a format."""
        from finewave.io.open_options import SaveOptions

        return SaveOptions(dtype=self.dtype, scale=self.output_full_scale, nodata=self.nodata)

    def beside(self, output: Path) -> list[Path]:
        """Return the files that go beside an output."""
        files = [uncertainty_file(output)] if self.uncertainty else []
        return [*files, quality_file(output)] if self.quality else files

    def processing(self, model: Model) -> Processing:
        """Return what is done around the network."""
        return choose_processing(
            model,
            consistent=self.consistent,
            self_ensemble=self.self_ensemble,
            uncertainty=self.uncertainty,
            clip=self.clip,
        )


def uncertainty_file(output: Path) -> Path:
    """Return where the uncertainty of an output goes: ``a.tif`` has ``a.uncertainty.tif``."""
    return output.with_name(f"{output.stem}.uncertainty{output.suffix}")


def quality_file(output: Path) -> Path:
    """Return where the quality of an output goes: ``a.tif`` has ``a.quality.json``."""
    return output.with_name(f"{output.stem}.quality.json")


def run_file(
    source: Path,
    output: Path,
    model: Model,
    guide: Path | None,
    options: FileOptions,
    *,
    client: Any | None = None,
    model_path: str | None = None,
    progress: ProgressCallback | None = None,
) -> None:
    """Apply a model to a file and write the result under its final name when it is whole.

    Parameters
    ----------
    source, output, guide : Path
    model : Model
    options : FileOptions
    client : distributed.Client, optional
        Whose workers do the tiles; they see the same files under the same names.
    model_path : str, optional
        What workers give to `load_model`; without, a copy of the model is kept beside the tiles for them.
    progress : callable, optional
        Called with the number of tiles done and of all tiles.
    """
    from finewave.wavelengths import given_wavelengths

    for each in (output, *options.beside(output)):
        _check_target(each)
    processing = options.processing(model)
    scorer = scorer_of(model) if options.quality else None
    given = options.wavelengths
    keywords: dict[str, Any] = {
        "wavelengths": None if given is None else given_wavelengths(given).tolist(),
        "full_scale": options.full_scale,
        "variable": options.variable,
        "engine": options.engine,
    }
    paths = dict(zip(model.inputs, [source] if guide is None else [source, guide], strict=False))
    of_guide = {"full_scale": options.guide_full_scale, "variable": options.guide_variable}
    keywords_of = dict(zip(model.inputs, [keywords, of_guide], strict=False))
    scenes = {name: _opened(path, keywords_of[name]) for name, path in paths.items()}
    resolution = _own_resolution(scenes[model.inputs[0]], model)
    if resolution is not None:
        keywords["resolution"] = resolution
        scenes[model.inputs[0]].close()
        scenes[model.inputs[0]] = _opened(source, keywords)
    try:
        request = make_request(scenes[model.inputs[0]], model, scenes.get(model.inputs[-1]) if guide else None)
        tiling = plan_tiles(
            model,
            *request.first.shape[1:],
            tile=options.tile,
            halo=options.halo,
            beyond=processing.reach,
        )
        request.warn_of_range()
        description = _description(paths, request, tiling, options, processing)
        with locked(output) as folder:
            with writing(output):
                unfinished = _prepare(folder, output, description, request, tiling, options)
            model = model.with_precision(unfinished.precision)
            missing = _missing(unfinished, tiling)
            if missing:
                warn_halo_error(model, request.sources(), tiling, processing.reach)
            if client is None:
                job = TileJob(LoadedModel(model), request.sources(), tiling, unfinished, processing)
            else:
                sources = {
                    name: (_for_workers(path, keywords_of[name], request.bands[name]), request.ratio(name))
                    for name, path in paths.items()
                }
                job = TileJob(_model_for_workers(model, model_path, folder), sources, tiling, unfinished, processing)
            with _kept(unfinished), writing(output):
                run_job(job, missing, client, progress)
                _finish(output, unfinished, request, tiling, options, processing, scorer)
            discard_job(folder)
    finally:
        for scene in scenes.values():
            scene.close()


def _missing(unfinished: ResumeStore, tiling: Tiling) -> list[int]:
    """Return the numbers of the tiles that are to be made; what is damaged no longer counts as finished."""
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
        raise InputError(f"{error}. Finished tiles are kept: the same command goes on from them") from error


def _check_target(output: Path) -> None:
    """Refuse, before any work, a name that something else has."""
    if output.suffix.lower() == ".zarr":
        if output.exists() and not any((output / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray")):
            raise InputError(f"cannot write {output}: it exists and is no Zarr store; choose another name")
    elif output.is_dir():
        raise InputError(f"cannot write {output}: it is a folder; give the name of a file")


def _opened(path: Path, keywords: dict[str, Any]) -> xr.DataArray:
    from finewave.io.open_save import open_scene

    return open_scene(path, **keywords)


def _own_resolution(scene: xr.DataArray, model: Model) -> float | None:
    """Return the finest resolution of the bands that the model uses, where that is not the scene's grid.

    A product may have finer bands, which are no reason to interpolate those that the model was trained on.
    """
    import warnings

    from finewave.inference.band_matching import match_bands
    from finewave.scene import check_scene, scene_transform

    transform = scene_transform(scene)
    if "native_resolution" not in scene.coords or transform is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said when the scene is used
        bands = match_bands(check_scene(scene), model)
    finest = float(scene.coords["native_resolution"].values[bands].min())
    return finest if finest > 1.01 * abs(transform.determinant) ** 0.5 else None


def _description(
    paths: dict[str, Path], request: Request, tiling: Tiling, options: FileOptions, processing: Processing
) -> dict[str, Any]:
    """Return everything that the output depends on, in words for which `open_job` can say what differs."""
    import finewave

    model = request.model
    job = {
        "version": finewave.__version__,
        **{f"input {name}": f"{path.absolute()} {stamp_of(path)}" for name, path in paths.items()},
        "bands": {name: bands.to_list() for name, bands in request.bands.items()},
        "wavelengths": None if options.wavelengths is None else str(options.wavelengths),
        "variable": [options.variable, options.guide_variable, options.engine],
        "full scale": [options.full_scale, options.guide_full_scale],
        "model": f"{model.name} {_weights_of(model)}",
        "pooling": model.pooling,
        "precision": model.precision,
        "tile": [tiling.side, tiling.height, tiling.width],
        "halo": [tiling.halo, tiling.border],
        **processing.identity(),
        "storage": {key: None if value is None else str(value) for key, value in options.storage.items()},
    }
    return json.loads(json.dumps(job))


def _weights_of(model: Model) -> str:
    """Return a checksum of the network's values."""
    import hashlib

    digest = hashlib.sha256()
    for name, tensor in model.net.state_dict().items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().double().numpy()).tobytes())
    return digest.hexdigest()


def _prepare(
    folder: Path, output: Path, job: dict[str, Any], request: Request, tiling: Tiling, options: FileOptions
) -> ResumeStore:
    """Return the store for the tiles: the one that an earlier run has left, or a new one."""
    import dask.array as da

    from finewave.io.formats.storage import choose_storage
    from finewave.io.formats.zarr_store import lay_out
    from finewave.io.open_options import SaveOptions

    before = open_job(folder, job, restart=options.restart)
    model = request.model
    bands = model.bands_of(model.output)
    if bands is None:
        raise InputError(f"{model.name} does not say how many bands it makes; give its network hs_bands")
    s = model.upscaling
    shape, side = (bands, tiling.height * s, tiling.width * s), min(tiling.side, max(tiling.height, tiling.width)) * s
    blocks = da.full(shape, np.nan, dtype=np.float32, chunks=(bands, side, side))
    template = request.result(blocks)
    save_options = options.save_options
    spread = request.spread(blocks) if options.uncertainty else None
    as_floats = SaveOptions()
    if before is not None:
        storage = choose_storage(template, save_options)
        spread_storage = None if spread is None else choose_storage(spread, as_floats)
        return ResumeStore(str(folder.absolute()), storage, s, before[_ARITHMETIC], spread_storage)
    _try_out(template, folder, output, options.storage)
    if spread is not None:
        _try_out(spread, folder, output, {})
    # kept: a run may go on on a machine that would choose otherwise
    precision = model.with_resolved_precision().precision
    storage = lay_out(template, store_in(folder), save_options, side)
    spread_storage = None if spread is None else lay_out(spread, spread_store_in(folder), as_floats, side)
    commit_job(folder, {**job, _ARITHMETIC: precision})
    return ResumeStore(str(folder.absolute()), storage, s, precision, spread_storage)


def _try_out(template: xr.DataArray, folder: Path, output: Path, storage: dict[str, Any]) -> None:
    """Write one pixel in the output's format: what it cannot hold shows before the work, not after."""
    import warnings

    pixel = template[:, :1, :1].copy(data=np.zeros((template.sizes["band"], 1, 1), np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _save(pixel, folder / f"trial{output.suffix}", storage)
    for each in folder.glob("trial*"):
        if each.is_dir():
            from finewave.io.atomic import remove_folder

            remove_folder(each)
        else:
            each.unlink()


def _for_workers(path: Path, keywords: dict[str, Any], bands: BandSelection) -> SceneFile:
    """Return a file as workers open it."""
    return SceneFile(str(path.absolute()), tuple(keywords.items()), bands.indices, stamp_of(path), bands.fills)


def _model_for_workers(model: Model, path: str | None, folder: Path) -> SavedModel:
    """Return the model as workers load it."""
    if path is None or path.startswith(hub.PREFIX):  # workers may have no network, and a branch may move
        path = str(model.save(folder / "model").absolute())
    elif os.path.exists(path):  # noqa: PTH110 - a name such as jssunet-cave-x4 is no path
        path = str(Path(path).absolute())
    device = next((p.device.type for p in model.net.parameters()), "cpu")
    return SavedModel(path, model.precision, model.pooling, device, _weights_of(model))


def _finish(
    output: Path,
    unfinished: ResumeStore,
    request: Request,
    tiling: Tiling,
    options: FileOptions,
    processing: Processing,
    scorer: Scorer | None,
) -> None:
    """Give the finished tiles the output's format and name; what belongs to the output comes before it."""
    from finewave.io.open_save import open_scene

    records = [unfinished.facts(number) for number in range(len(tiling))]
    assert all(record is not None for record in records)
    known = [record for record in records if record is not None]
    facts = [TileFacts(record["holes"], record["dark"], record["cut"]) for record in known]
    warn_of_facts(request, facts, processing)
    unfinished.warn(output, known)
    side = tiling.side * request.model.upscaling
    if scorer is not None:
        scene = open_scene(unfinished.scene)
        try:
            write_quality(quality_file(output), quality_of(scene, request, scorer, tiling))
        finally:
            scene.close()
    if processing.spread:
        _publish(unfinished.spread, uncertainty_file(output), side, {})
    _publish(unfinished.scene, output, side, options.storage)


def _publish(store: Path, output: Path, side: int, storage: dict[str, Any]) -> None:
    """Give a store of tiles of so many pixels a side an output's format and name."""
    from finewave.io.atomic import atomic_output
    from finewave.io.open_save import open_scene

    if output.suffix.lower() == ".zarr":
        with atomic_output(output) as temporary:
            store.rename(temporary)
        return
    scene = open_scene(store)
    scene.encoding["preferred_chunks"] = {"y": side, "x": side}
    try:
        _save(scene, output, storage)
    finally:
        scene.close()


def _save(scene: xr.DataArray, output: Path, storage: dict[str, Any]) -> None:
    from finewave.io.open_save import save_scene

    more: dict[str, Any] = {"cog": True} if output.suffix.lower() in COG_EXTENSIONS else {}
    save_scene(scene, output, **storage, **more)
