"""Custom data sets: a folder of files that finewave opens, and a description."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from finewave.datasets.base import PARTS, Dataset, DownloadableFile, Region, Split
from finewave.errors import InputError, unknown_name
from finewave.text.yaml_text import read_yaml
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    import xarray as xr

DESCRIPTION = "finewave-dataset.yaml"
SHARES = (0.7, 0.15, 0.15)  # of the scenes, or of a scene's longer side, for train, val, test
GAP = 16  # pixels between the parts of one scene
FEW = 3  # with fewer scenes than this each is cut in three
SAME_BAND = 0.5  # nm that the centres of a band may differ between scenes
BRIGHTEST = 2.0  # larger values are not reflectance: the full scale is missing


@dataclass(frozen=True)
class CustomDatasetOptions:
    """Options of a custom data set, in `DESCRIPTION` or on the command line.

    Attributes
    ----------
    title, citation, licence, home, notes : str
    files : str or None
        Pattern of the scenes' names; None: every file of a format that `finewave.open_scene` knows.
    wavelengths : list of float or path or None
        As for `finewave.open_scene`; a path is relative to the folder. None: those of the files.
    full_scale : float or None
        The stored number that represents 1.0; None: as stated in the files.
    sensor : str or None
        Sensor of the simulated multispectral bands.
    split : mapping or None
        Scenes by ``train``, ``val``, ``test``; without ``train``, all others train. None: see `default_split`.
    regions : mapping
        Scenes that are parts of one image: ``{name: {image: ..., rows: [0, 100], columns: [0, 80]}}``.
    downloads : sequence of mapping
        ``{url: ..., sha256: ..., name: ...}``; see `finewave.datasets.base.DownloadableFile`.
    """

    title: str = ""
    citation: str = ""
    licence: str = ""
    home: str = ""
    notes: str = ""
    files: str | None = None
    wavelengths: Sequence[float] | str | None = None
    full_scale: float | None = None
    sensor: str | None = None
    split: Mapping[str, Sequence[str]] | None = None
    regions: Mapping[str, Mapping[str, Any]] | None = None
    downloads: Sequence[Mapping[str, str]] = ()


def read_description(path: Path) -> CustomDatasetOptions:
    """Read a `DESCRIPTION`.

    Raises
    ------
    InputError
        If it cannot be read, or has a key that does not exist.
    """
    description = read_yaml(path) or {}
    if not isinstance(description, dict):
        raise InputError(f"{path} is not a mapping of keys to values")
    known = [field.name for field in fields(CustomDatasetOptions)]
    for key in description:
        if key not in known:
            raise unknown_name(f"key of {path.name}", str(key), known)
    for key in ("split", "regions"):
        if not isinstance(description.get(key) or {}, dict):
            raise InputError(f"{path}: {key} is not a mapping")
    return CustomDatasetOptions(**{key: value for key, value in description.items() if value is not None})


def remote_files(options: CustomDatasetOptions) -> tuple[DownloadableFile, ...]:
    """Return the downloads listed in a `DESCRIPTION`.

    Raises
    ------
    InputError
        If an entry is not of the form ``{url: ..., sha256: ..., name: ...}``.
    """
    files = []
    for each in options.downloads:
        entry = {key: str(value) for key, value in each.items()} if isinstance(each, dict) else {}
        file = DownloadableFile(entry.pop("url", ""), entry.pop("sha256", "").lower(), entry.pop("name", ""))
        plain = Path(file.name).name == file.name != ""
        if entry or not plain or not re.fullmatch("[0-9a-f]{64}", file.sha256) or "://" not in file.url:
            raise InputError(
                f"downloads: {each} is not of the form {{url: LINK, sha256: 64 digits, name: FILE}}; "
                "the name is without folder"
            )
        files.append(file)
    return tuple(files)


class Survey(NamedTuple):
    """Facts about a scene, from its file."""

    bands: int
    size: tuple[int, int]
    wavelengths: np.ndarray | None
    bad_bands: tuple[int, ...]
    quantity: str | None = None


def from_folder(name: str, folder: Path, options: CustomDatasetOptions | None = None) -> Dataset:
    """Describe a folder of scenes.

    Parameters
    ----------
    name : str
        Of the data set: letters, digits, ``.``, ``_`` and ``-``.
    folder : Path
        Folder with the scenes and an optional `DESCRIPTION`.
    options : CustomDatasetOptions, optional
        Options that override those of the `DESCRIPTION`.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If there is no scene, two have the same name, their bands differ, wavelengths are unknown, or the split names
        missing scenes.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise InputError(f"{name!r} cannot be the name of a data set; use letters, digits, '.', '_' and '-'")
    described = folder / DESCRIPTION
    settings = read_description(described) if described.is_file() else CustomDatasetOptions()
    if options is not None:
        default = CustomDatasetOptions()
        passed = {f.name: getattr(options, f.name) for f in fields(CustomDatasetOptions)}
        settings = replace(settings, **{key: value for key, value in passed.items() if value != getattr(default, key)})
    find = partial(find_scenes, pattern=settings.files)
    wavelengths = settings.wavelengths
    if isinstance(wavelengths, str):
        wavelengths = str(folder / wavelengths)
    surveys = {image: survey_scene(path, wavelengths, settings.full_scale) for image, path in find(folder).items()}
    shared = shared_wavelengths(surveys)
    bad = sorted({band for survey in surveys.values() for band in survey.bad_bands})
    quantities = {survey.quantity for survey in surveys.values()}
    regions = {key: _region(key, value) for key, value in (settings.regions or {}).items()}
    if settings.split is None:
        split, cut = default_split({image: survey.size for image, survey in surveys.items()})
        if regions:
            raise InputError(f"{described}: regions need a split that names them")
        regions = cut
    else:
        split = _given_split(settings.split, {*surveys, *regions}, {r.image for r in regions.values()})
    for key, region in regions.items():
        if region.image not in surveys:
            raise InputError(f"region {key!r} is of {region.image!r}, which is not in {folder}")
    return Dataset(
        name=name,
        title=settings.title or f"{len(surveys)} scenes of {folder.resolve().name}",
        wavelengths=np.delete(shared, bad),
        find=find,
        read=partial(read_reflectance, wavelengths=wavelengths, full_scale=settings.full_scale),
        split=split,
        regions=regions,
        dropped_bands=tuple(bad),
        citation=settings.citation or "none given",
        licence=settings.licence or "none given",
        home=settings.home,
        sensor=settings.sensor,
        full_scale=1.0,
        quantity=quantities.pop() if len(quantities) == 1 else None,
        files=remote_files(settings),
        notes=settings.notes,
    )


def from_manifest(name: str, manifest: Mapping[str, Any]) -> Dataset:
    """Describe a prepared data set from its store; the original files cannot be read with it."""

    def gone(path: Path) -> Any:
        raise InputError(
            f"{name} is a data set of your own; prepare it again: finewave data prepare {name} --from FOLDER"
        )

    return Dataset(
        name=name,
        title=manifest.get("title", name),
        wavelengths=np.asarray(manifest["wavelengths_nm"], np.float64),
        find=gone,
        read=gone,
        split=manifest["split"],
        regions={
            key: Region(each["image"], tuple(each["rows"]), tuple(each["columns"]))
            for key, each in manifest.get("regions", {}).items()
        },
        citation=manifest.get("citation", "none given"),
        licence=manifest.get("licence", "none given"),
        home=manifest.get("home", ""),
        sensor=manifest.get("sensor"),
        full_scale=1.0,
        companions=manifest.get("companions", {}),
        dropped_bands=tuple(manifest.get("dropped_bands", ())),
        quantity=manifest.get("quantity"),
        notes=manifest.get("notes", ""),
        version=manifest.get("version", 1),
    )


def find_scenes(folder: Path, pattern: str | None = None) -> dict[str, Path]:
    """Return the scenes of a folder by name without extension; an ENVI pair is represented by its header.

    Raises
    ------
    InputError
        If there is none, or two have the same name.
    """
    from finewave.io.open_save import FORMATS

    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give the one that holds your scenes")
    extensions = {extension for each in FORMATS for extension in each.extensions}
    paths: dict[str, Path] = {}
    for path in sorted(folder.glob(pattern) if pattern else folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in extensions:
            continue
        headers = (path.with_suffix(".hdr"), path.with_name(f"{path.name}.hdr"))
        if path.suffix.lower() != ".hdr" and any(header.is_file() for header in headers):
            continue
        if path.stem in paths:
            raise InputError(
                f"two scenes are called {path.stem!r}: {paths[path.stem].name} and {path.name}; rename one"
            )
        paths[path.stem] = path
    if not paths:
        raise InputError(f"no scene in {folder}; expected files {pattern or ', '.join(sorted(extensions))}")
    return paths


def survey_scene(path: Path, wavelengths: Sequence[float] | str | None, full_scale: float | None) -> Survey:
    """Return facts about a scene from its file, reading few of its pixels.

    Warns
    -----
    FinewaveWarning
        A band has no value in any pixel. It is treated as bad.
    """
    from finewave.io.open_save import open_scene
    from finewave.scene import band_labels, band_values

    with open_scene(path, wavelengths=wavelengths, full_scale=full_scale) as scene:
        good = band_values(scene, "good_band")
        flagged = [] if good is None else np.flatnonzero(~good.astype(bool)).tolist()
        empty = [band for band in _empty_bands(scene, path) if band not in flagged]
        if empty:
            warnings.warn(
                f"{path}: left out {', '.join(band_labels(scene)[i] for i in empty)}, without a value in any pixel; "
                "fill them in the file to have them trained",
                FinewaveWarning,
                stacklevel=3,
            )
        bad = tuple(sorted([*flagged, *empty]))
        size = (scene.sizes["y"], scene.sizes["x"])
        return Survey(scene.sizes["band"], size, band_values(scene, "wavelength"), bad, scene.attrs.get("quantity"))


def _empty_bands(scene: xr.DataArray, path: Path) -> list[int]:
    """Return the bands without any value; only bands without values in the middle of the scene are read completely."""
    from finewave.io.file_errors import reading

    middle = [slice(max(0, n // 2 - 32), n // 2 + 32) for n in (scene.sizes["y"], scene.sizes["x"])]
    with reading(path, "scene"):
        sample = np.isfinite(scene[:, middle[0], middle[1]].values).any(axis=(1, 2))
        empty = [i for i in np.flatnonzero(~sample).tolist() if not np.isfinite(scene[i].values).any()]
    return empty if len(empty) < scene.sizes["band"] else []  # a scene without any value raises an error when read


def shared_wavelengths(surveys: Mapping[str, Survey]) -> np.ndarray:
    """Return the wavelengths in nm that all scenes have.

    Raises
    ------
    InputError
        If bands differ or are unknown.
    """
    first = next(iter(surveys))
    shared = surveys[first].wavelengths
    for image, survey in surveys.items():
        if survey.bands != surveys[first].bands:
            raise InputError(
                f"{image!r} has {survey.bands} bands, {first!r} has {surveys[first].bands}; "
                "the scenes of a data set have the same bands"
            )
        if survey.wavelengths is None or shared is None:
            raise InputError(
                f"{image if survey.wavelengths is None else first!r} does not say its wavelengths; give them with "
                f"--wavelengths FILE.csv, or in {DESCRIPTION}"
            )
        apart = float(np.abs(survey.wavelengths - shared).max())
        if apart > SAME_BAND:
            raise InputError(
                f"{image!r} and {first!r} have other wavelengths (up to {apart:.1f} nm apart); "
                "resample one, or state them with --wavelengths if they are meant to be the same"
            )
    assert shared is not None
    return np.asarray(shared, np.float64)


def read_reflectance(path: Path, wavelengths: Sequence[float] | str | None, full_scale: float | None) -> np.ndarray:
    """Read a scene as reflectance, float32."""
    from finewave.io.file_errors import reading
    from finewave.io.open_save import open_scene
    from finewave.scene import band_values

    with open_scene(path, wavelengths=wavelengths, full_scale=full_scale) as scene, reading(path, "scene"):
        values = np.asarray(scene.values, np.float32)
        good = band_values(scene, "good_band")
    counted = np.isfinite(values)
    if good is not None:  # values of bands flagged bad are ignored
        counted &= good.astype(bool)[:, None, None]
    brightest = float(np.max(values, initial=0, where=counted))
    if brightest > BRIGHTEST:
        raise InputError(
            f"{path}: values up to {brightest:g}; say which stored number represents 1.0 with --full-scale, "
            f"or full_scale in {DESCRIPTION}"
        )
    return values


def _region(name: str, settings: Mapping[str, Any]) -> Region:
    try:
        (top, bottom), (left, right) = settings["rows"], settings["columns"]
        return Region(str(settings["image"]), (int(top), int(bottom)), (int(left), int(right)))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"region {name!r} is not of the form {{image: NAME, rows: [FIRST, END], columns: [FIRST, END]}}"
        ) from error


def _given_split(requested: Mapping[str, Sequence[str]], known: set[str], cut: set[str]) -> Split:
    """Return the requested split; without ``train``, all other whole images are used for training."""
    for part, names in requested.items():
        if part not in PARTS:
            raise unknown_name("part of a split", part, PARTS)
        for name in names:
            if name not in known:
                raise unknown_name("scene", name, known)
    named = {name for names in requested.values() for name in names}
    rest = sorted(known - named - cut)
    split = {"train": tuple(rest), "val": (), "test": (), **{part: tuple(names) for part, names in requested.items()}}
    for part in ("train", "val"):
        if not split[part]:
            raise InputError(f"the split leaves no scene for {part}; name one")
    return split


def default_split(sizes: Mapping[str, tuple[int, int]]) -> tuple[Split, dict[str, Region]]:
    """Return a reproducible split for a folder without one.

    Three or more scenes are ordered by the SHA-256 of their names: the first 70 % for training, the next 15 % for
    validation, the last 15 % for test, at least one each. With one or two, each is cut along its longer side into
    ``NAME_train``, ``NAME_val`` and ``NAME_test`` in these proportions, with gaps of 16 unused pixels.

    Parameters
    ----------
    sizes : mapping of str to (int, int)
        H, W of each scene.

    Returns
    -------
    split, regions

    Raises
    ------
    InputError
        If a scene is too small to be cut.
    """
    if len(sizes) >= FEW:
        names = sorted(sizes, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
        held = max(1, round(SHARES[2] * len(names)))
        train = len(names) - 2 * held
        return {"train": names[:train], "val": names[train : train + held], "test": names[train + held :]}, {}
    split: dict[str, list[str]] = {part: [] for part in PARTS}
    regions = {}
    for name, (height, width) in sizes.items():
        length = max(height, width) - 2 * GAP
        held = int(SHARES[2] * length)
        if held < GAP:
            raise InputError(
                f"scene {name!r} has {height} x {width} pixels, too few to be cut in three; "
                f"add scenes, or name a split in {DESCRIPTION}"
            )
        train = length - 2 * held
        ends = {"train": (0, train), "val": (train + GAP, train + GAP + held), "test": (train + 2 * GAP + held, None)}
        for part, (first, end) in ends.items():
            along = (first, max(height, width) if end is None else end)
            rows, columns = (along, (0, width)) if height >= width else ((0, height), along)
            regions[f"{name}_{part}"] = Region(name, rows, columns)
            split[part].append(f"{name}_{part}")
    return split, regions
