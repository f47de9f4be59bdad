"""File in, file out: one scene, several, or every scene of a folder."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

from finewave.errors import InputError, unknown_name
from finewave.inference.image_baselines import is_any_sensor, is_built, load_runnable
from finewave.inference.options import PredictOptions
from finewave.inference.predict_file import run_file
from finewave.io.network.location import Location, Remote, location_of
from finewave.io.open_save import FORMATS, READ_ONLY, Format, check_packages
from finewave.io.path_checks import keep_inputs
from finewave.io.products import product_of
from finewave.process.collector import resume_collector
from finewave.warnings import FinewaveWarning
from finewave.zoo.names import is_exported, member_names
from finewave.zoo.runnable import RunnableModel


def predict_file(
    source: str | Path | Sequence[str | Path],
    output: str | Path,
    model: RunnableModel | str | Path,
    *,
    progress: Callable[[int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
    **options: Any,
) -> list[Path]:
    """Apply a model to a file, to several, or to every file of a folder, in memory that does not grow with the scene.

    Finished tiles are stored in a hidden folder beside the output. A run that was interrupted for any reason resumes
    from them when started again with the same options.

    Parameters
    ----------
    source : str, Path or sequence of them
        A file, URL or cloud path that `open_scene` reads; or a folder, which is one scene (an image per band) if
        ``output`` has an extension, otherwise a folder of scenes. Of two or more, each is one scene.
    output : str or Path
        With an extension, a file in that format; without, a folder, made if missing for several scenes, in
        which ``a.png`` becomes ``a`` + ``suffix``.
    model : Model, str or Path
        From `load_model`, or its argument; a file that `finewave.export` wrote, ``.onnx``, which needs no PyTorch; or
        the name of a baseline, see `finewave.inference.image_baselines`.
    progress : callable, optional
        Called with the number done and the total: tiles of one file, or files of a folder.
    say : callable, optional
        Called, before a long run, with a line on the size of the output and the time that it will take.
    **options
        See `finewave.inference.options.PredictOptions`.

    Returns
    -------
    list of Path
        The complete outputs; additional files are named after them.

    Raises
    ------
    InputError
        A ``ValueError``, if a path cannot be used, an option is unknown or out of range, the output is an input (see
        ``overwrite``), a file does not fit the model, the disk is full, another run writes the same output, or an
        unfinished one with other inputs or options has. Of several scenes the others are processed first, and the
        message names those that failed.
    """
    settings = PredictOptions.of_files(options)
    places = [_existing(location_of(each)) for each in ([source] if isinstance(source, str | Path) else source)]
    if not places:
        raise InputError("no scene is given; give at least one")
    place, output = places[0], Path(output)
    if len(places) > 1:
        many = True
        scenes: Sequence[Location] = places
        _check_folder(output, settings.extension)
    else:
        output, many = _target(place, output, settings)
        scenes = list(_scenes_in(place)) if many and isinstance(place, Path) else places
        if not scenes:
            raise InputError(f"the folder {place} holds no image that can be read")
    pairs = _pairs(scenes, output, settings.extension) if many else [(place, output)]
    if not settings.overwrite:
        _keep_inputs(places, output, pairs if many else None, settings)
    _check_beside(pairs, settings)
    model_path = None if isinstance(model, RunnableModel) or is_built(model) or member_names(model) else str(model)
    if not is_built(model):
        model = _loaded(model, settings)
    with _client(settings) as client:
        run_one = run_file
        if is_any_sensor(model) and settings.scale not in (None, 1):
            from finewave.inference.any_scale import run_enlarged as run_one
        run = partial(run_one, model=model, options=settings, client=client, model_path=model_path, say=say)
        if many:
            if settings.anchors is not None:
                raise InputError("anchors belong to one scene; give its file, not several or a folder of scenes")
            return _all_of(pairs, output, settings.guide, run, progress)
        guide = None if settings.guide is None else _existing(location_of(settings.guide))
        run(place, output, guide=guide, progress=progress)
        return [output]


def _target(source: Location, output: Path, options: PredictOptions) -> tuple[Path, bool]:
    """Return the output's file, or its folder where a folder of scenes becomes one; and whether that is so."""
    into_folder = not output.suffix or (output.is_dir() and output.suffix.lower() not in _extensions())
    # a Zarr store is a folder, too, and so are many products
    is_one_scene = (
        isinstance(source, Remote)
        or source.is_file()
        or source.suffix.lower() in _extensions()
        or product_of(source) is not None
    )
    if into_folder and is_one_scene:
        if not output.is_dir():
            raise InputError(f"{output} has no extension to name a format; try {output.name}.tif")
        output = output / f"{source.stem}{options.extension}"
    many = into_folder and not is_one_scene
    _check_output(output, options.extension if many else output.suffix)
    return output, many


def _check_folder(output: Path, extension: str) -> None:
    """Refuse an output of several scenes that is not a folder."""
    if output.suffix.lower() in _extensions() and not output.is_dir():
        raise InputError(f"{output} is one file for several scenes; give a folder (and --format, suffix=)")
    if output.exists() and not output.is_dir():
        raise InputError(f"the output {output} of several scenes is a file; give a folder")
    _check_output(output, extension)


def _keep_inputs(
    sources: Sequence[Location], output: Path, pairs: Sequence[tuple[Location, Path]] | None, options: PredictOptions
) -> None:
    """Refuse an output that is an input."""
    remedy = "give another name, or --overwrite (in Python overwrite=True)"
    spots = options.anchors if isinstance(options.anchors, str | Path) else None
    named = [location_of(each) for each in (*sources, options.guide, options.spectra, spots) if each is not None]
    read = [each for each in named if isinstance(each, Path)]
    if pairs is None:
        return keep_inputs(read, [output, *options.beside(output)], remedy)
    if any(output.exists() and each.is_dir() and output.samefile(each) for each in read):
        raise InputError(f"the output folder {output} is the input folder, whose files would be overwritten: {remedy}")
    return keep_inputs(
        [path for path, _ in pairs if isinstance(path, Path)],
        [each for _, target in pairs for each in (target, *options.beside(target)) if each.exists()],
        remedy,
    )


def _check_beside(pairs: Sequence[tuple[Location, Path]], options: PredictOptions) -> None:
    targets = {target for _, target in pairs}
    for _, target in pairs:
        if conflicts := targets.intersection(options.beside(target)):
            raise InputError(f"{conflicts.pop()} would go beside {target.name} and a result by itself; rename a scene")


def _client(options: PredictOptions) -> AbstractContextManager[Any | None]:
    """Return the worker processes; none by default."""
    if options.cluster is None and options.workers is None:
        return nullcontext()
    from finewave.inference.machine.process_pool import connected

    return connected(options.cluster, options.workers)


def _loaded(model: RunnableModel | str | Path, options: PredictOptions) -> RunnableModel:
    """Return a model that is not a baseline, on the device of the options."""
    loaded = load_runnable(model, options.precision)
    if is_exported(model) and (options.workers is not None or options.cluster is not None):
        loaded.in_pytorch("--workers and --cluster (workers=, cluster=)")
    if options.device is None:
        return loaded
    network = loaded.in_pytorch("--device (device=)")
    try:
        return network.to(options.device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"the model cannot be moved to {options.device!r}: {str(error).splitlines()[0]}") from error


def _all_of(
    pairs: Sequence[tuple[Location, Path]],
    output: Path,
    guides: str | Path | None,
    run: Callable[..., None],
    progress: Callable[[int, int], None] | None,
) -> list[Path]:
    """Process each pair; report failures at the end."""
    made = not output.exists()
    output.mkdir(exist_ok=True)
    failures: list[str] = []
    written: list[Path] = []
    for done, (path, target) in enumerate(pairs, start=1):
        try:
            run(path, target, guide=None if guides is None else _guide_of(path, Path(guides)))
        except InputError as error:
            failures.append(f"{path.name}: {error}")
        else:
            written.append(target)
        resume_collector()
        if progress is not None:
            progress(done, len(pairs))
    if failures:
        if made and not written:
            with suppress(OSError):  # tiles of an unfinished output may be in it
                output.rmdir()
        raise InputError(f"{len(failures)} of {len(pairs)} files could not be processed: {'; '.join(failures)}")
    return written


def _existing(guide: Location) -> Location:
    if isinstance(guide, Path) and not guide.exists():
        raise InputError(f"no such file or folder: {guide}")
    return guide


def _guide_of(path: Location, guides: Path) -> Path:
    """Return the file in a folder that guides the scene in ``path``."""
    _existing(guides)
    if not guides.is_dir():
        raise InputError(f"the guides of a folder of scenes are a folder, too; {guides} is a file")
    matches = [other for other in _scenes_in(guides) if other.stem == path.stem]
    if len(matches) != 1:
        raise InputError(f"{len(matches)} files in {guides} are named {path.stem}; one guide is expected")
    return matches[0]


def _check_output(output: Path, suffix: str) -> None:
    """Refuse, before any work, an output that cannot be written."""
    known = _extensions()
    if suffix.lower() not in known:
        raise unknown_name("output extension", suffix, known)
    check_packages(known[suffix.lower()])
    folder = output.parent
    if not folder.is_dir():
        problem = "is a file, not a folder" if folder.exists() else "does not exist; create it first"
        raise InputError(f"cannot write {output}: the folder {folder} {problem}")


def _pairs(scenes: Sequence[Location], output: Path, suffix: str) -> Sequence[tuple[Location, Path]]:
    """Return each scene with the file in a folder that it becomes."""
    pairs: dict[Path, Location] = {}
    for scene in scenes:
        target = output / (scene.stem + suffix)
        if target in pairs:
            raise InputError(f"{pairs[target].name} and {scene.name} would both become {target}; rename one")
        pairs[target] = scene
    return [(scene, target) for target, scene in pairs.items()]


def _scenes_in(folder: Path) -> Iterator[Path]:
    """Yield the scenes of a folder; warn about other files."""
    known = _readable()
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    headers = {path.stem for path in entries if path.suffix.lower() == ".hdr"}
    for path in entries:
        suffix = path.suffix.lower()
        # an ENVI image is represented by its header; its data file is skipped
        is_envi_data = suffix != ".hdr" and known.get(suffix, "ENVI") == "ENVI"
        if is_envi_data and (path.name in headers or path.stem in headers):
            continue
        if suffix in known:
            yield path
        else:
            warnings.warn(
                f"{path} is not an image file that can be read; left out (give it alone to see why)",
                FinewaveWarning,
                stacklevel=4,
            )


def _extensions() -> dict[str, Format]:
    """Return the format of each extension that can be written."""
    return {extension: each for each in FORMATS for extension in each.extensions}


def _readable() -> dict[str, Format]:
    """Return the same of formats that are read."""
    return _extensions() | {extension: each for each in READ_ONLY for extension in each.extensions}
