"""Datasets by name, and their preparation."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from finewave.data.store import Store, checksum, prepared_folder, write_store
from finewave.errors import InputError, unknown_name
from finewave.locations import data_folder
from finewave.warnings import FinewaveWarning

_DATASETS = {"cave": "finewave.data.cave"}


def list_datasets() -> list[str]:
    """Return the names of the datasets."""
    return sorted(_DATASETS)


def get_dataset(name: str) -> ModuleType:
    """Return the module that knows the dataset: wavelengths, split, sensor, citation, reader."""
    if name not in _DATASETS:
        raise unknown_name("dataset", name, _DATASETS)
    return importlib.import_module(_DATASETS[name])


def prepare(name: str, source: Path, destination: Path | None = None) -> Path:
    """Read a dataset as published, check it and write it ready for training.

    Parameters
    ----------
    name : str
        Dataset.
    source : Path
        Folder as its owner publishes it.
    destination : Path, optional
        Store to write; default ``<prepared folder>/<name>.zarr``.

    Returns
    -------
    Path
        The store.

    Raises
    ------
    InputError
        If a scene of the training or validation split is missing, or any scene is damaged; the message names scene
        and band. Missing test scenes are a warning.
    """
    import warnings

    dataset = get_dataset(name)
    found = dataset.find_scenes(Path(source))
    missing = dataset.missing_scenes(found)
    test = missing.pop("test", [])
    if missing:
        what = "; ".join(f"{split}: {', '.join(names)}" for split, names in missing.items())
        raise InputError(f"{name} in {source} is incomplete, missing {what}")
    if test:
        warnings.warn(
            f"{name} in {source} lacks {len(test)} test scenes ({', '.join(test)}); "
            "training and validation are not affected",
            FinewaveWarning,
            stacklevel=2,
        )
    attributes = {
        "dataset": name,
        "full_scale": dataset.FULL_SCALE,
        "split": {split: [n for n in names if n in found] for split, names in dataset.SPLIT.items()},
        "citation": dataset.CITATION,
        "licence": dataset.LICENCE,
    }
    path = destination or prepared_folder() / f"{name}.zarr"
    cubes = ((scene, dataset.read_scene(path)) for scene, path in sorted(found.items()))
    return write_store(path, cubes, dataset.wavelengths(), attributes)


def open_dataset(name: str, store: Path | None = None) -> Store:
    """Open the prepared dataset; one that lies unprepared in ``FINEWAVE_DATA`` is prepared first.

    Raises
    ------
    InputError
        If it is neither prepared nor there to be prepared.
    """
    get_dataset(name)
    path = Path(store) if store else prepared_folder() / f"{name}.zarr"
    if not path.exists():
        source = data_folder() / name
        if store or not source.is_dir():
            raise InputError(
                f"dataset {name!r} is not prepared ({path} does not exist); "
                f"run: finewave data prepare {name} --from FOLDER"
            )
        prepare(name, source, path)
    return Store(path)


class SceneSource(Protocol):
    """Where scenes are read from: a prepared store, or the files as published."""

    @property
    def wavelengths(self) -> np.ndarray:
        """Band centres in nm, shape (C,)."""

    @property
    def attributes(self) -> dict[str, Any]:
        """At least ``dataset``, ``full_scale`` and ``split``."""

    def read(self, name: str) -> np.ndarray:
        """Return a scene (C, H, W) as stored."""

    def checksum(self, name: str) -> str:
        """Return the sha256 of a scene's values."""

    def __contains__(self, name: str) -> bool: ...


class PublishedScenes:
    """Scenes read straight from the files as published, for those who only evaluate."""

    def __init__(self, name: str, folder: Path) -> None:
        self._dataset = get_dataset(name)
        self._found = self._dataset.find_scenes(folder)
        self.wavelengths: np.ndarray = self._dataset.wavelengths()
        self.attributes = {
            "dataset": name,
            "full_scale": self._dataset.FULL_SCALE,
            "split": {split: list(names) for split, names in self._dataset.SPLIT.items()},
        }

    def read(self, name: str) -> np.ndarray:
        """Return a scene (C, H, W) as stored."""
        return self._dataset.read_scene(self._found[name])

    def checksum(self, name: str) -> str:
        """Return the sha256 of a scene's values."""
        return checksum(self.read(name))

    def __contains__(self, name: str) -> bool:
        return name in self._found


def open_scenes(name: str, scenes: Iterable[str]) -> SceneSource:
    """Return a source that has the named scenes of a dataset.

    The prepared store if it has them all, else the files in ``FINEWAVE_DATA``.

    Raises
    ------
    InputError
        If neither has them all; the message names what is missing.
    """
    wanted = list(scenes)
    path, folder = prepared_folder() / f"{name}.zarr", data_folder() / name
    sources: list[SceneSource] = []
    get_dataset(name)
    if path.exists():
        sources.append(Store(path))
    if folder.is_dir():
        sources.append(PublishedScenes(name, folder))
    for source in sources:
        if all(scene in source for scene in wanted):
            return source
    missing = [scene for scene in wanted if not any(scene in source for source in sources)]
    raise InputError(
        f"{name} lacks {', '.join(missing) or 'a folder that holds all scenes at once'} (neither {path} nor {folder} "
        f"has all); run: finewave data prepare {name} --from FOLDER"
    )
