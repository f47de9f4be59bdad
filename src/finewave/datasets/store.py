"""Prepared data sets: a Zarr store with a lossless array per scene and a manifest.

The store is written under a temporary name and renamed when complete, so an existing store is complete.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finewave.datasets.base import Image
from finewave.errors import InputError
from finewave.io.atomic import atomic_output
from finewave.locations import cache_folder

if TYPE_CHECKING:
    import zarr

FORMAT = 1
CROP = 128  # chunk side: the crop that the field trains on
COMPANIONS = "companions"


def prepared_folder() -> Path:
    """Folder of the prepared datasets: ``FINEWAVE_PREPARED``, by default ``~/.cache/finewave/prepared``.

    Raises
    ------
    InputError
        Neither that variable nor a home folder is there.
    """
    if stated := os.environ.get("FINEWAVE_PREPARED"):
        return Path(stated)
    cache = cache_folder()
    if cache is None:
        raise InputError("there is no home folder to keep prepared data sets in; set FINEWAVE_PREPARED to a folder")
    return cache / "prepared"


def prepared_store(name: str) -> Path:
    """Return the path of a data set's store, if it is prepared."""
    return prepared_folder() / f"{name}.zarr"


def write_store(
    path: Path,
    scenes: Iterable[tuple[str, np.ndarray | Image]],
    wavelengths: np.ndarray,
    attributes: dict[str, Any],
) -> Path:
    """Write a store; on failure nothing is left and an earlier store is kept.

    Parameters
    ----------
    path : Path
        The store; its folder is made.
    scenes : iterable of (str, ndarray (C, H, W) or Image)
        Scenes by name, read one by one.
    wavelengths : ndarray (C,)
        Band centres in nm.
    attributes : dict
        Contents of the manifest besides the checksums: at least ``dataset``, ``full_scale`` and ``split``. For scenes
        with their own full scale, ``full_scale`` is replaced by a mapping of scenes to numbers.

    Raises
    ------
    InputError
        If two scenes have one name, the folder cannot be written or the disk is full.
    """
    import zarr

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    with atomic_output(path) as temporary:
        root = zarr.open_group(temporary, mode="w")
        checksums: dict[str, str] = {}
        full_scales: dict[str, float] = {}
        companions: dict[str, dict[str, str]] = {}
        for name, scene in scenes:
            image = scene if isinstance(scene, Image) else Image(scene)
            if name in checksums:
                raise InputError(f"cannot write {path}: two scenes are called {name!r}")
            _write(root, name, image.values)
            checksums[name] = checksum(image.values)
            if image.full_scale is not None:
                full_scales[name] = image.full_scale
            for kind, companion in image.companions.items():
                _write(root, f"{COMPANIONS}/{kind}/{name}", companion)
                companions.setdefault(kind, {})[name] = checksum(companion)
        distinct = set(full_scales.values())
        own = {"full_scale": distinct.pop() if len(distinct) == 1 else full_scales} if full_scales else {}
        root.attrs.update(
            {
                **attributes,
                **own,
                "format": FORMAT,
                "wavelengths_nm": [float(w) for w in wavelengths],
                "sha256": checksums,
                "companions_sha256": companions,
            }
        )
    return path


def _write(root: Any, name: str, values: np.ndarray) -> None:
    array = root.create_array(name, shape=values.shape, dtype=values.dtype, chunks=(values.shape[0], CROP, CROP))
    array[...] = values


def checksum(cube: np.ndarray) -> str:
    """Return the sha256 of a scene's values, in row-major order."""
    return hashlib.sha256(cube.tobytes()).hexdigest()


class Store:
    """A prepared dataset, open for reading.

    Parameters
    ----------
    path : Path
        Written by `write_store`.

    Attributes
    ----------
    attributes : dict
        Manifest: dataset, split, full scale, wavelengths, checksum of every scene.
    """

    def __init__(self, path: Path) -> None:
        import zarr

        self.path = Path(path)
        try:
            self._root = zarr.open_group(self.path, mode="r")
        except Exception as error:
            raise InputError(f"{path} is not a prepared dataset ({error})") from error
        self.attributes: dict[str, Any] = dict(self._root.attrs)
        if self.attributes.get("format") != FORMAT:
            raise InputError(f"{path} was prepared by another version; prepare it again")

    @property
    def wavelengths(self) -> np.ndarray:
        """Band centres in nm, shape (C,)."""
        return np.asarray(self.attributes["wavelengths_nm"])

    @property
    def names(self) -> list[str]:
        """Scenes in the store."""
        return sorted(self.attributes["sha256"])

    @property
    def companions(self) -> list[str]:
        """Companions of the scenes; see `Dataset`."""
        return sorted(self.attributes.get("companions_sha256", {}))

    def full_scale(self, name: str) -> float:
        """Return the stored number that represents 1.0 in a scene."""
        stored = self.attributes["full_scale"]
        return float(stored[name] if isinstance(stored, dict) else stored)

    def checksum(self, name: str) -> str:
        """Return the sha256 of a scene's values."""
        return self.attributes["sha256"][name]

    def size(self, name: str) -> tuple[int, int]:
        """Return height and width of a scene in pixels, without reading it."""
        if name not in self:
            raise InputError(f"scene {name!r} is not in {self.path}")
        _, height, width = self._array(name).shape
        return height, width

    def __contains__(self, name: str) -> bool:
        return name in self.attributes["sha256"]

    def read(self, name: str, companion: str | None = None) -> np.ndarray:
        """Return a scene (C, H, W) as stored, or one of its companions (c, s H, s W).

        Parameters
        ----------
        name : str
            One of `names`; divide by its `full_scale` for [0, 1].
        companion : str, optional
            One of `companions`, in the numbers of its file.

        Raises
        ------
        InputError
            If it is not in the store.
        """
        if name not in self:
            raise InputError(f"scene {name!r} is not in {self.path}; it holds {', '.join(self.names)}")
        if companion is not None and companion not in self.companions:
            raise InputError(
                f"{self.path} holds no {companion!r} of its scenes, but {', '.join(self.companions) or 'nothing more'}"
            )
        return np.asarray(self._array(name if companion is None else f"{COMPANIONS}/{companion}/{name}")[...])

    def _array(self, path: str) -> zarr.Array[Any]:
        import zarr

        array = self._root[path]
        assert isinstance(array, zarr.Array)
        return array
