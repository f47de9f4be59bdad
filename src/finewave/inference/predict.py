"""File in, file out: one scene, or every scene of a folder."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finewave.errors import InputError, unknown_name
from finewave.inference.predict_file import FileOptions, run_file
from finewave.inference.process_pool import connected
from finewave.io.own_copy import keep_inputs
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    from finewave.zoo.model import Model


def predict_file(
    source: str | Path,
    output: str | Path,
    model: Model | str | Path,
    *,
    guide: str | Path | None = None,
    suffix: str = ".tif",
    wavelengths: Any = None,
    variable: str | None = None,
    guide_variable: str | None = None,
    engine: str | None = None,
    full_scale: float | None = None,
    guide_full_scale: float | None = None,
    tile: int | None = None,
    halo: str | int = "exact",
    pooling: str = "local",
    precision: str = "auto",
    consistent: bool = False,
    self_ensemble: bool = False,
    uncertainty: bool = False,
    quality: bool = False,
    clip: Sequence[float] | None = None,
    dtype: str | None = None,
    output_full_scale: float | None = None,
    nodata: float | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    device: str | None = None,
    restart: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Apply a model to a file, or to every file of a folder, in memory that does not grow with the scene.

    Tiles that are finished are kept in a hidden folder beside the output. A run that was stopped, whatever by, goes on
    from them when it is started again in the same way.

    Parameters
    ----------
    source : str or Path
        A file that `open_scene` reads; or a folder, which is one scene (an image per band) if ``output`` has
        an extension, else a folder of scenes.
    output : str or Path
        With an extension, a file in that format; without, a folder, made if missing for a folder of scenes, in
        which ``a.png`` becomes ``a`` + ``suffix``.
    model : Model, str or Path
        From `load_model`, or what to give it.
    guide : str or Path, optional
        File with the second image of a model that takes two, see `super_resolve`; for a folder of scenes a folder with
        a file of the same stem for each.
    suffix : str
        Extension of the files in an output folder.
    wavelengths : sequence of float or path, optional
        Band centres in nm of the input, where the file does not have them; see `open_scene`.
    variable, guide_variable : str, optional
        Which array of the input's and the guide's file, where it holds several; see `open_scene`.
    engine : str, optional
        Installed engine of xarray that opens the input, see `open_scene`.
    full_scale, guide_full_scale : float, optional
        The stored number that stands for 1.0 in the input and in the guide, where the files do not say, or in place
        of what they say; ``scale`` of `open_scene`.
    tile, halo, pooling : optional
        See `super_resolve`.
    precision : {"auto", "float32", "bfloat16"}
        Of a model that is loaded here, see `load_model`.
    consistent, self_ensemble, clip : optional
        See `super_resolve`.
    uncertainty : bool
        Write the standard deviation of the results of the eight orientations, in each pixel and band, beside the
        output, in float32: ``a.tif`` has ``a.uncertainty.tif``. The output is then their mean.
    quality : bool
        Write scores that need no truth beside the output, in JSON: ``a.tif`` has ``a.quality.json``; see
        `finewave.inference.quality.quality_of`.
    dtype, output_full_scale, nodata : optional
        How values are stored, see `save_scene` (``full_scale`` there); float32 by default.
    workers : int, optional
        Processes of this machine that share the work; by default threads of this one do it.
    cluster : str, optional
        Address of a Dask scheduler whose workers do it. They must see input and output under the same names.
    device : str, optional
        Where networks run, ``"cuda"`` for instance; by default where the model is.
    restart : bool
        Throw away what an earlier, unfinished run has left, instead of going on from it.
    overwrite : bool
        Write over an input, for those who want their scene replaced by its result.
    progress : callable, optional
        Called with what is done and the whole: tiles of one file, or files of a folder.

    Returns
    -------
    list of Path
        The outputs, each whole; what lies beside them goes by their names.

    Raises
    ------
    InputError
        A ``ValueError``, if a path cannot be used, the output is an input (see ``overwrite``), a file does not fit the
        model, the disk is full, another run writes the same output, or an unfinished one with other inputs or options
        has. In a folder the other files are processed first, and the message names those that failed.
    """
    from finewave.io.products import product_of
    from finewave.zoo.model import Model, load_model

    source, output = Path(source), Path(output)
    if not source.exists():
        raise InputError(f"no such file or folder: {source}")
    suffix = suffix if suffix.startswith(".") else f".{suffix}"
    into_folder = not output.suffix or (output.is_dir() and output.suffix.lower() not in _extensions())
    # a Zarr store is a folder, too, and so are many products
    is_one_scene = source.is_file() or source.suffix.lower() in _extensions() or product_of(source) is not None
    many = into_folder and not is_one_scene
    if into_folder and is_one_scene:
        if not output.is_dir():
            raise InputError(f"{output} has no extension to name a format; try {output.name}.tif")
        output = output / f"{source.stem}{suffix}"
    _check_output(output, suffix if many else output.suffix)
    if not overwrite:
        remedy = "give another name, or --overwrite (in Python overwrite=True)"
        read = [source] if guide is None else [source, guide]
        if many and any(output.exists() and Path(each).is_dir() and output.samefile(each) for each in read):
            raise InputError(
                f"the output folder {output} is the input folder, whose files would be overwritten: {remedy}"
            )
        if not many:
            keep_inputs(read, [output], remedy)
    model_path = None if isinstance(model, Model) else str(model)
    if not isinstance(model, Model):
        model = load_model(model, precision=precision)
    model = model.with_pooling(pooling)
    if device is not None:
        model = _on_device(model, device)
    options = FileOptions(
        wavelengths=wavelengths,
        variable=variable,
        guide_variable=guide_variable,
        engine=engine,
        full_scale=full_scale,
        guide_full_scale=guide_full_scale,
        tile=tile,
        halo=halo,
        dtype=dtype,
        output_full_scale=output_full_scale,
        nodata=nodata,
        restart=restart,
        consistent=consistent,
        self_ensemble=self_ensemble,
        uncertainty=uncertainty,
        clip=clip,
        quality=quality,
    )
    with connected(cluster, workers) as client:

        def one(path: Path, target: Path, progress: Callable[[int, int], None] | None) -> None:
            second = None if guide is None else _guide_of(path, Path(guide), many)
            run_file(path, target, model, second, options, client=client, model_path=model_path, progress=progress)

        if not many:
            one(source, output, progress)
            return [output]
        pairs = _pairs(source, output, suffix)
        if not overwrite:
            keep_inputs([path for path, _ in pairs], [target for _, target in pairs if target.exists()], remedy)
        targets = {target for _, target in pairs}
        for _, target in pairs:
            if taken := targets.intersection(options.beside(target)):
                raise InputError(
                    f"{taken.pop()} would be the uncertainty of {target.name} and a result by itself; rename a scene"
                )
        return _all_of(pairs, output, one, progress)


def _on_device(model: Model, device: str) -> Model:
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"the model cannot be moved to {device!r}: {str(error).splitlines()[0]}") from error


def _all_of(
    pairs: Sequence[tuple[Path, Path]],
    output: Path,
    one: Callable[[Path, Path, Callable[[int, int], None] | None], None],
    progress: Callable[[int, int], None] | None,
) -> list[Path]:
    """Process each pair of a folder; say at the end which ones failed."""
    made = not output.exists()
    output.mkdir(exist_ok=True)
    failures: list[str] = []
    written: list[Path] = []
    for done, (path, target) in enumerate(pairs, start=1):
        try:
            one(path, target, None)
        except InputError as error:
            failures.append(f"{path.name}: {error}")
        else:
            written.append(target)
        if progress is not None:
            progress(done, len(pairs))
    if failures:
        if made and not written:
            with suppress(OSError):  # tiles of an unfinished output may be in it
                output.rmdir()
        raise InputError(f"{len(failures)} of {len(pairs)} files could not be processed: {'; '.join(failures)}")
    return written


def _guide_of(path: Path, guide: Path, many: bool) -> Path:
    """Return the file that guides the scene in ``path``."""
    if not guide.exists():
        raise InputError(f"no such file or folder: {guide}")
    if not many:
        return guide
    if not guide.is_dir():
        raise InputError(f"the guides of a folder of scenes are a folder, too; {guide} is a file")
    found = [other for other in _scenes_in(guide) if other.stem == path.stem]
    if len(found) != 1:
        raise InputError(f"{len(found)} files in {guide} are named {path.stem}; one guide is expected")
    return found[0]


def _check_output(output: Path, suffix: str) -> None:
    """Refuse, before any work, an output that cannot be written."""
    known = _extensions()
    if suffix.lower() not in known:
        raise unknown_name("output extension", suffix, known)
    folder = output.parent
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist; create it first"
        raise InputError(f"cannot write {output}: the folder {folder} {what}")


def _pairs(source: Path, output: Path, suffix: str) -> Sequence[tuple[Path, Path]]:
    """Return each scene in a folder with the file that it becomes."""
    pairs: dict[Path, Path] = {}
    for path in _scenes_in(source):
        target = output / (path.stem + suffix)
        if target in pairs:
            raise InputError(f"{pairs[target].name} and {path.name} would both become {target}; rename one")
        pairs[target] = path
    if not pairs:
        raise InputError(f"the folder {source} holds no image that can be read")
    return [(path, target) for target, path in pairs.items()]


def _scenes_in(folder: Path) -> Iterator[Path]:
    """Yield the scenes of a folder; say which other files there are."""
    known = _readable()
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    headers = {path.stem for path in entries if path.suffix.lower() == ".hdr"}
    for path in entries:
        suffix = path.suffix.lower()
        # an ENVI image is named by its header; the data file beside it belongs to it
        is_envi_data = suffix != ".hdr" and known.get(suffix, "ENVI") == "ENVI"
        if is_envi_data and (path.name in headers or path.stem in headers):
            continue
        if suffix in known:
            yield path
        else:
            warnings.warn(
                f"{path} is no image file that can be read; left out (give it alone to see why)",
                FinewaveWarning,
                stacklevel=4,
            )


def _extensions() -> dict[str, str]:
    """Return the name of the format that each extension stands for, of formats that are written."""
    from finewave.io.open_save import FORMATS

    return {extension: each.name for each in FORMATS for extension in each.extensions}


def _readable() -> dict[str, str]:
    """Return the same of formats that are read."""
    from finewave.io.open_save import READ_ONLY

    return _extensions() | {extension: each.name for each in READ_ONLY for extension in each.extensions}
