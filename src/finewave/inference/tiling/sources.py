"""Windows of a scene, from memory, from a file, or from a file that each worker opens for itself."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from finewave.inference.matching.band_selection import Fill, filled
from finewave.inference.tiling.tiles import Window
from finewave.io.network.location import Location, Remote

if TYPE_CHECKING:
    import xarray as xr

    from finewave.inference.tiling.grid import Grid


KEPT_OPEN = 4
"""Files that a worker keeps open."""


class WindowSource(Protocol):
    """Something with windows."""

    def read(self, window: Window | None) -> NDArray[np.float32]:
        """Return the bands (c, rows, columns) of a window, or of the whole scene; NaN where there is no value."""


class OpenScene:
    """Windows of a scene that is open, or in memory.

    Parameters
    ----------
    scene : xarray.DataArray with dims (band, y, x)
    bands : sequence of int
        Which of its bands, in which order.
    fills : tuple of Fill
        Interpolations that replace bands flagged bad, see `finewave.inference.matching.band_selection`.
    """

    def __init__(self, scene: xr.DataArray, bands: Sequence[int], fills: tuple[Fill, ...] = ()) -> None:
        self.scene, self.bands, self.fills = scene, list(bands), fills

    def read(self, window: Window | None) -> NDArray[np.float32]:
        """Return a window; see `WindowSource`."""
        rows, columns = (slice(None), slice(None)) if window is None else window
        first, last = min(self.bands), max(self.bands) + 1
        stored = self.scene.variable
        if last - first <= 2 * len(self.bands):
            values = np.asarray(stored[first:last, rows, columns].values)[[band - first for band in self.bands]]
        else:
            values = np.stack([stored[band, rows, columns].values for band in self.bands])
        return filled(masked(values, self.scene.attrs.get("_FillValue")), self.fills)


def masked(values: Any, nodata: Any) -> Any:
    """Return values in float32, NaN where they are ``nodata``; NumPy or dask arrays."""
    values = values.astype(np.float32)
    if nodata is None or not np.isfinite(nodata):
        return values
    wheres = np.where
    if not isinstance(values, np.ndarray):
        import dask.array as da

        wheres = da.where
    return wheres(values == np.float32(nodata), np.float32(np.nan), values)


@dataclass(frozen=True)
class SceneFile:
    """Windows of a file, which every process that reads it opens once.

    Parameters
    ----------
    path : str
        As every worker finds it.
    keywords : tuple of (str, value)
        Of `open_scene`.
    bands : tuple of int
        Which bands, in which order.
    stamp : str
        Changes with the file.
    fills : tuple of Fill
        As of `OpenScene`.
    grid : Grid, optional
        Target grid of the file, see `finewave.inference.tiling.grid.on_grid`.
    part : Window, optional
        Part of it that is the scene.
    """

    path: str
    keywords: tuple[tuple[str, Any], ...]
    bands: tuple[int, ...]
    stamp: str
    fills: tuple[Fill, ...] = ()
    grid: Grid | None = None
    part: Window | None = None

    def read(self, window: Window | None) -> NDArray[np.float32]:
        """Return a window; see `WindowSource`."""
        with _OPEN.lock:
            key = (self.path, self.stamp, repr(self.keywords))
            if key not in _OPEN.scenes:
                import warnings

                from finewave.io.open_save import open_scene

                while len(_OPEN.scenes) >= KEPT_OPEN:
                    _OPEN.scenes.pop(next(iter(_OPEN.scenes)))  # closed with its last reader
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # already warned about in the main process
                    _OPEN.scenes[key] = open_scene(self.path, **dict(self.keywords))
            scene = _OPEN.scenes[key]
        if self.grid is not None or self.part is not None:
            from finewave.inference.tiling.grid import cropped, on_grid

            scene = scene if self.grid is None else on_grid(scene, self.grid)
            scene = scene if self.part is None else cropped(scene, self.part)
        return OpenScene(scene, self.bands, self.fills).read(window)


@dataclass
class _OpenScenes:
    lock: Any = field(default_factory=threading.Lock)
    scenes: dict[Any, Any] = field(default_factory=dict)


_OPEN = _OpenScenes()


def stamp_of(path: Location) -> str:
    """Return a text that changes when a file, or one in a folder, changes: names, sizes and times of change."""
    import hashlib

    if isinstance(path, Remote):
        from finewave.io.open_remote import stamp_of_remote

        return stamp_of_remote(path)
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    if path.is_file() and path.suffix.lower() in (".hdr", ".img", ".dat", ".bsq", ".bil", ".bip", ".raw", ".envi"):
        files = sorted(each for each in path.parent.glob(f"{path.stem}*") if each.is_file())
    digest = hashlib.sha256()
    for each in files:
        status = each.stat()
        digest.update(f"{each.relative_to(path.parent)} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
