"""Data sets by name, and access to their scenes."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from finewave.datasets.base import Dataset, Image, Split, listed
from finewave.datasets.custom import DESCRIPTION, CustomDatasetOptions, from_folder, from_manifest
from finewave.datasets.preparation import prepare_dataset, settled
from finewave.datasets.reader import read_scenes
from finewave.datasets.store import Store, checksum, prepared_folder, prepared_store
from finewave.errors import InputError, unknown_name
from finewave.locations import data_folder
from finewave.physics.sensors import get_sensor
from finewave.warnings import FinewaveWarning

# name: module with the description, by name in `DATASETS`
_DATASETS = {
    "cave": "finewave.datasets.catalogue.cave",
    "cave@mulsr": "finewave.datasets.catalogue.cave",
    "ntire2020": "finewave.datasets.catalogue.ntire2020",
    "arad-1k": "finewave.datasets.catalogue.arad_1k",
    "harvard": "finewave.datasets.catalogue.harvard",
    "harvard@mulsr": "finewave.datasets.catalogue.harvard",
    "kaist": "finewave.datasets.catalogue.kaist",
    "pavia-centre": "finewave.datasets.catalogue.pavia_centre",
    "pavia-centre@jssunet": "finewave.datasets.catalogue.pavia_centre",
    "pavia-centre@sspsr": "finewave.datasets.catalogue.pavia_centre",
    "pavia-university": "finewave.datasets.catalogue.pavia_university",
    "chikusei": "finewave.datasets.catalogue.chikusei",
    "worldview2-colosseum": "finewave.datasets.catalogue.worldview2_colosseum",
    "ssc-hsr": "finewave.datasets.catalogue.ssc_hsr",
    "flowers": "finewave.datasets.catalogue.ssc_hsr",
    "icvl": "finewave.datasets.catalogue.icvl",
    "vnir100": "finewave.datasets.catalogue.vnir100",
    "aviris": "finewave.datasets.catalogue.aviris",
    "paris": "finewave.datasets.catalogue.paris",
    "enmap": "finewave.datasets.catalogue.enmap",
}


def list_datasets() -> list[str]:
    """Return the names of the built-in data sets, then those of prepared custom ones."""
    return [*sorted(_DATASETS), *_own_datasets()]


def _own_datasets() -> list[str]:
    folder = prepared_folder()
    names = (path.name.removesuffix(".zarr") for path in folder.glob("*.zarr")) if folder.is_dir() else ()
    return sorted(name for name in names if name not in _DATASETS)


def get_dataset(name: str | Dataset, store: Path | None = None) -> Dataset:
    """Return the description of a dataset: wavelengths, split, sensor, citation, reader.

    Parameters
    ----------
    name : str or Dataset
        One of `list_datasets`. A `Dataset` is returned unchanged.
    store : Path, optional
        Store of a custom data set prepared elsewhere; used if it has this name.

    Raises
    ------
    InputError
        If there is no such data set; the message suggests the nearest name.
    """
    if isinstance(name, Dataset):
        return name
    if name not in _DATASETS:
        if store is not None and store.exists():
            attributes = Store(store).attributes
            if attributes.get("dataset") == name:
                return from_manifest(name, attributes)
        if name in _own_datasets():
            return from_manifest(name, Store(prepared_store(name)).attributes)
        raise unknown_name("dataset", name, list_datasets())
    dataset: Dataset = importlib.import_module(_DATASETS[name]).DATASETS[name]
    if dataset.split_of is not None and prepared_store(name).exists():
        return replace(dataset, split=Store(prepared_store(name)).attributes["split"])
    return dataset


def describe_folder(name: str, folder: Path, options: CustomDatasetOptions | None = None) -> Dataset:
    """Return the description by which a folder is to be prepared under a name.

    Parameters
    ----------
    name : str
        One of `list_datasets`, or a new name for a custom folder.
    folder : Path
        With the files.
    options : CustomDatasetOptions, optional
        Options of a custom data set. None: a new name is accepted only for a folder with a `DESCRIPTION`, so that
        misspelt names are noticed.

    Raises
    ------
    InputError
        If there is no such data set, or options are given for a built-in one.
    """
    if name in _DATASETS:
        if options is not None:
            raise InputError(f"{name} is a data set that finewave knows; what it is cannot be said by options")
        return get_dataset(name)
    if options is None and name not in _own_datasets() and not (folder / DESCRIPTION).is_file():
        problem = unknown_name("dataset", name, list_datasets())
        raise InputError(f"{problem}; --own prepares a folder of your own under a new name")
    return from_folder(name, folder, options)


def sensor_of(dataset: Dataset) -> str:
    """Return the default sensor of a data set's simulated multispectral bands.

    Raises
    ------
    InputError
        If it has none.
    """
    if dataset.sensor is None:
        raise InputError(
            f"dataset {dataset.name} names no sensor for its multispectral images; choose one: --sensor of "
            "data prepare or evaluate, data.sensor of a recipe"
        )
    return dataset.sensor


def rgb_sensor(sensor: str) -> str:
    """Return the red, green and blue bands of a sensor, for networks with an RGB reference.

    Parameters
    ----------
    sensor : str
        A name, or a file, of `finewave.physics.sensors.get_sensor`.

    Returns
    -------
    str
        The sensor itself if it has three bands, otherwise its bands of these names: ``"ikonos:red,green,blue"``.

    Raises
    ------
    InputError
        If it has neither.
    """
    bands = get_sensor(sensor).bands
    if len(bands) == 3:
        return sensor
    by_name = {band.lower(): band for band in bands}
    if not {"red", "green", "blue"} <= set(by_name):
        raise InputError(
            f"sensor {sensor} has the bands {', '.join(bands)}; an RGB reference needs three: choose another sensor "
            f"or its bands, as in {sensor}:{','.join(bands[:3])}"
        )
    return f"{sensor}:{by_name['red']},{by_name['green']},{by_name['blue']}"


def known_split(name: str) -> Split:
    """Return the split of a dataset, scenes by ``train``, ``val``, ``test``.

    Raises
    ------
    InputError
        If it is known only from the published files, and the data set is neither prepared nor in ``FINEWAVE_DATA``.
    """
    dataset = get_dataset(name)
    folder = published_folder(dataset)
    if not dataset.split and folder.is_dir():
        dataset = settled(dataset, folder)
    if not dataset.split:
        raise InputError(f"dataset {name!r} is not prepared; run: finewave data prepare {name} --from FOLDER")
    return dataset.split


def check_split(name: str, split: str) -> None:
    """Refuse a split that a data set does not have, or that holds no scene."""
    known = {each: scenes for each, scenes in known_split(name).items() if scenes}
    if split not in known:
        raise unknown_name(f"split of {name}", split, known)


def prepare(
    name: str | Dataset,
    source: Path,
    destination: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
    count: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Read a dataset as published, check it and write it ready for training.

    Parameters
    ----------
    name : str or Dataset
        Dataset.
    source : Path
        Folder as its owner publishes it.
    destination : Path, optional
        Store to write; default ``<prepared folder>/<name>.zarr``.
    progress : callable
        Called with a line for each scene.
    count : callable
        Called with the scenes that are written and their number.

    Returns
    -------
    Path
        The store; an up-to-date store is kept.

    Raises
    ------
    InputError
        If a scene of the training or validation split is missing, or any scene is damaged; the message names scene
        and band. Missing test scenes are a warning.
    """
    dataset = get_dataset(name)
    return prepare_dataset(dataset, Path(source), destination or prepared_store(dataset.name), progress, count)


def open_dataset(name: str | Dataset, store: Path | None = None) -> Store:
    """Open the prepared data set; an unprepared one in ``FINEWAVE_DATA`` is prepared first.

    Raises
    ------
    InputError
        If it is neither prepared nor there to be prepared.

    Warns
    -----
    FinewaveWarning
        If the store was made by another version of the description.
    """
    store = Path(store) if store else None
    dataset = get_dataset(name, store)
    path = store or prepared_store(dataset.name)
    if not path.exists():
        source = published_folder(dataset)
        if store or not source.is_dir():
            raise InputError(
                f"dataset {dataset.name!r} is not prepared ({path} does not exist); "
                f"run: finewave data prepare {dataset.name} --from FOLDER"
            )
        prepare(dataset, source, path)
    opened = Store(path)
    version = opened.attributes.get("version", 1)
    if version != dataset.version:
        warnings.warn(
            f"{path} was prepared by version {version} of {dataset.name}, which is now at {dataset.version}; "
            f"prepare it again: finewave data prepare {dataset.name} --from FOLDER",
            FinewaveWarning,
            stacklevel=2,
        )
    return opened


def published_folder(dataset: Dataset) -> Path:
    """Return the path of a data set in ``FINEWAVE_DATA``, if it exists."""
    return data_folder() / dataset.data_folder_name


class SceneSource(Protocol):
    """Source of scenes: a prepared store, or the published files."""

    @property
    def wavelengths(self) -> np.ndarray:
        """Band centres in nm, shape (C,)."""

    @property
    def attributes(self) -> dict[str, Any]:
        """At least ``dataset`` and ``split``."""

    @property
    def companions(self) -> list[str]:
        """Companions of the scenes; see `Dataset`."""

    def full_scale(self, name: str) -> float:
        """Return the stored number that represents 1.0 in a scene."""

    def read(self, name: str, companion: str | None = None) -> np.ndarray:
        """Return a scene (C, H, W) as stored, or one of its companions."""

    def checksum(self, name: str) -> str:
        """Return the sha256 of a scene's values."""

    def __contains__(self, name: str) -> bool: ...


class PublishedScenes:
    """Scenes read straight from the files as published, for those who only evaluate."""

    def __init__(self, name: str | Dataset, folder: Path) -> None:
        self._dataset = settled(get_dataset(name), folder)
        self._found = self._dataset.find(folder)
        self._last: tuple[str, Image] | None = None
        self.wavelengths: np.ndarray = self._dataset.wavelengths
        self.attributes = {
            "dataset": self._dataset.name,
            "full_scale": self._dataset.full_scale,
            "sensor": self._dataset.sensor,
            "split": {split: list(names) for split, names in self._dataset.split.items()},
        }

    @property
    def companions(self) -> list[str]:
        """Companions of the scenes; see `Dataset`."""
        return sorted(self._dataset.companions)

    def _scene(self, name: str) -> Image:
        """Return a scene, cached, as full scale, values and checksum are requested in sequence."""
        if self._last is None or self._last[0] != name:
            ((_, image),) = read_scenes(self._dataset, self._found, [name])
            self._last = (name, image)
        return self._last[1]

    def full_scale(self, name: str) -> float:
        """Return the stored number that represents 1.0 in a scene."""
        return float(self._dataset.full_scale or self._scene(name).full_scale or 1.0)

    def read(self, name: str, companion: str | None = None) -> np.ndarray:
        """Return a scene (C, H, W) as stored, or one of its companions."""
        scene = self._scene(name)
        return scene.values if companion is None else scene.companions[companion]

    def checksum(self, name: str) -> str:
        """Return the sha256 of a scene's values."""
        return checksum(self.read(name))

    def __contains__(self, name: str) -> bool:
        return name in self._dataset.scenes and self._dataset.image_of(name) in self._found


def open_scenes(name: str | Dataset, scenes: Iterable[str]) -> SceneSource:
    """Return a source that has the named scenes of a dataset.

    The prepared store if it has them all, otherwise the files in ``FINEWAVE_DATA``.

    Raises
    ------
    InputError
        If neither has them all; the message names what is missing.
    """
    dataset, requested = get_dataset(name), list(scenes)
    if not requested:
        raise InputError(f"no scene of {dataset.name} was asked for; its split may have no such part")
    path, folder = prepared_store(dataset.name), published_folder(dataset)
    sources: list[SceneSource] = []
    if path.exists():
        sources.append(Store(path))
    if folder.is_dir():
        sources.append(PublishedScenes(dataset, folder))
    for source in sources:
        if all(scene in source for scene in requested):
            return source
    missing = [scene for scene in requested if not any(scene in source for source in sources)]
    places = [str(each) for each in (path, folder) if each.exists()]  # a default folder that nobody made says nothing
    why = f"{' and '.join(places)} lack{'s' if len(places) == 1 else ''} them" if places else "it is not prepared"
    raise InputError(
        f"{dataset.name} lacks {listed(missing) or 'a folder that holds all scenes at once'} ({why}); "
        f"run: finewave data prepare {dataset.name} --from FOLDER"
    )
