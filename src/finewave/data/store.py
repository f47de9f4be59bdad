"""Prepared datasets: one Zarr store with a lossless array per scene and a manifest.

The store is written beside its final name and renamed when whole, so a store that exists is complete.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from finewave.errors import InputError
from finewave.imaging.atomic import remove_folder

FORMAT = 1
CROP = 128  # chunk side: the crop that the field trains on


def prepared_folder() -> Path:
    """Folder of the prepared datasets: ``FINEWAVE_PREPARED``, by default ``~/.cache/finewave/prepared``."""
    default = Path.home() / ".cache" / "finewave" / "prepared"
    return Path(os.environ.get("FINEWAVE_PREPARED", default))


def write_store(
    path: Path, scenes: Iterable[tuple[str, np.ndarray]], wavelengths: np.ndarray, attributes: dict[str, Any]
) -> Path:
    """Write a store of the scenes (C, H, W) under ``path``; nothing is left there if it fails.

    Raises
    ------
    InputError
        If the folder cannot be written or the disk is full.
    """
    import zarr

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    try:
        root = zarr.open_group(temporary, mode="w")
        checksums = {}
        for name, cube in scenes:
            array = root.create_array(name, shape=cube.shape, dtype=cube.dtype, chunks=(cube.shape[0], CROP, CROP))
            array[...] = cube
            checksums[name] = checksum(cube)
        root.attrs.update(
            {
                **attributes,
                "format": FORMAT,
                "wavelengths_nm": [float(w) for w in wavelengths],
                "sha256": checksums,
            }
        )
        if path.exists():
            shutil.rmtree(path)
        temporary.rename(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; nothing was left there") from error
    finally:
        remove_folder(temporary)
    return path


def checksum(cube: np.ndarray) -> str:
    """Return the sha256 of a scene's values, in row-major order."""
    return hashlib.sha256(cube.tobytes()).hexdigest()


class Store:
    """A prepared dataset, open for reading.

    Attributes
    ----------
    path : Path
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

    def checksum(self, name: str) -> str:
        """Return the sha256 of a scene's values."""
        return self.attributes["sha256"][name]

    def __contains__(self, name: str) -> bool:
        return name in self.attributes["sha256"]

    def read(self, name: str) -> np.ndarray:
        """Return the scene (C, H, W) as stored; divide by ``attributes["full_scale"]`` for [0, 1]."""
        import zarr

        if name not in self:
            raise InputError(f"scene {name!r} is not in {self.path}; it holds {', '.join(self.names)}")
        array = self._root[name]
        assert isinstance(array, zarr.Array)
        return np.asarray(array[...])
