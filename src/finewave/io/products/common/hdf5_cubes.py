"""Cubes of bands in an HDF5 file, one behind the other, each with its axes, as one lazy scene."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.values.decoding import Decoding, Number, choose_decoding
from finewave.io.formats.values.lazy import LazyValues, Slices
from finewave.io.open_options import OpenOptions
from finewave.scene import make_scene


@dataclass(frozen=True)
class Cube:
    """One array of bands.

    Parameters
    ----------
    dataset : h5py.Dataset
        Three axes.
    axes : tuple of int
        Which of them is the band, y and x axis.
    bands : sequence of int
        Which bands are used, in the order of the scene.
    """

    dataset: Any
    axes: tuple[int, int, int]
    bands: Sequence[int]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.dataset.shape[self.axes[1]], self.dataset.shape[self.axes[2]]

    def read(self, bands: Sequence[int], ys: slice, xs: slice) -> NDArray[Any]:
        """Return stored numbers (bands, y, x) of some of its bands, by their index in the file."""
        first, last = min(bands), max(bands)
        key = [slice(None)] * 3
        for axis, each in zip(self.axes, (slice(first, last + 1), ys, xs), strict=True):
            key[axis] = each
        block = np.transpose(self.dataset[tuple(key)], self.axes)
        return block[[band - first for band in bands]]


def in_order(cubes: Sequence[Cube], order: Sequence[int]) -> list[tuple[Cube, int]]:
    """Return the bands of all cubes in a common order, each as cube and index."""
    every = [(cube, band) for cube in cubes for band in cube.bands]
    return [every[number] for number in order]


def open_cubes(
    bands: Sequence[tuple[Cube, int]],
    path: Path,
    kind: str,
    options: OpenOptions,
    *,
    stated: tuple[Number | None, Number | None] = (None, None),
    nodata: float | None = None,
    mask: Callable[[Slices], NDArray[np.bool_]] | None = None,
    **metadata: Any,
) -> xr.DataArray:
    """Open bands of cubes as a scene.

    Parameters
    ----------
    bands : sequence of (Cube, int)
        As `in_order` returns them.
    path : pathlib.Path
        The file.
    kind : str
        Name of the product, for messages.
    options : OpenOptions
        What the user stated.
    stated : (scale factor, offset)
        Of the stored numbers, for all bands or one per band.
    nodata : float, optional
        The stored number of missing pixels.
    mask : callable, optional
        See `finewave.io.formats.values.lazy.LazyValues`.
    **metadata
        Keywords of `finewave.scene.make_scene`.

    Returns
    -------
    xarray.DataArray
        The scene, lazy.
    """
    first = bands[0][0]
    if any(cube.size != first.size for cube, _ in bands):
        raise InputError(f"the cubes of {path} differ in size; is the {kind} whole?")

    def read(key: Slices) -> NDArray[Any]:
        selected = list(bands[key[0]])
        parts: dict[int, NDArray[Any]] = {}
        for cube in {id(cube): cube for cube, _ in selected}.values():
            places = [place for place, (other, _) in enumerate(selected) if other is cube]
            block = cube.read([selected[place][1] for place in places], key[1], key[2])
            parts |= dict(zip(places, block, strict=True))
        return np.stack([parts[place] for place in range(len(selected))])

    dtype = np.dtype(first.dataset.dtype)
    shape = (len(bands), *first.size)
    values = LazyValues(read, shape, (0, 1, 2), Decoding(dtype, nodata=nodata), path, kind, mask)
    decoding = choose_decoding(
        dtype,
        path=path,
        scale=options.scale,
        scale_factor=stated[0],
        offset=stated[1],
        nodata=nodata,
        sample=values.sample,
    )
    return make_scene(values.with_decoding(decoding).as_variable(), encoding=decoding.encoding, **metadata)


def opened_hdf5(path: Path, kind: str) -> Any:
    """Open an HDF5 file with h5py."""
    import h5py

    with reading(path, f"{kind} (HDF5)"):
        return h5py.File(path)


def holds(path: Path, suffixes: tuple[str, ...], names: Sequence[str]) -> bool:
    """Whether a path is an HDF5 file that has one of these groups or arrays."""
    import h5py

    if path.suffix.lower() not in suffixes or not path.is_file():
        return False
    try:
        with h5py.File(path) as file:
            return any(name in file for name in names)
    except OSError:
        return False


def numbers(attributes: Mapping[str, Any], name: str) -> NDArray[np.float64] | None:
    """Return the numbers of an attribute, None where it is not there."""
    return np.ravel(np.asarray(attributes[name], np.float64)) if name in attributes else None
