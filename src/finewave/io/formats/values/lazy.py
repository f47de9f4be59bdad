"""Lazily read values, through xarray's interface for storage backends."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from finewave.io.file_errors import reading
from finewave.io.formats.values.decoding import Decoding
from finewave.io.network.location import remote_of
from finewave.io.precheck import check_declared

Slices = tuple[slice, ...]

BLOCK = 512
"""Default side in pixels of the blocks in which a large scene is written."""
_WHOLE_BYTES = 2**28


class LazyValues(BackendArray):
    """A ``(band, y, x)`` view of an array in a file, decoded block by block when it is indexed.

    Parameters
    ----------
    read : callable
        Takes one slice per axis of the stored array and returns the stored block.
    stored_shape : tuple of int
        Shape of the stored array, two or three axes.
    axes : tuple of int
        Which stored axis is the band, y and x axis; two numbers (y, x) for a stored image without bands.
    decoding : Decoding
        From stored numbers to values.
    path, kind : str
        For messages.
    mask : callable, optional
        Takes a slice of bands, rows and columns, and returns which pixels are missing there, whatever their numbers:
        bool, of that shape or ``(1, y, x)``.
    """

    def __init__(
        self,
        read: Callable[[Slices], NDArray[Any]],
        stored_shape: tuple[int, ...],
        axes: tuple[int, ...],
        decoding: Decoding,
        path: object,
        kind: str,
        mask: Callable[[Slices], NDArray[np.bool_]] | None = None,
    ) -> None:
        if remote_of(str(path)) is None:
            check_declared(Path(str(path)), math.prod(stored_shape) * decoding.stored_dtype.itemsize)
        self._read, self._mask = read, mask
        self._axes = axes
        self._decoding = decoding
        self._path = path
        self._kind = kind
        shape = tuple(stored_shape[axis] for axis in axes)
        self.shape = shape if len(axes) == 3 else (1, *shape)
        self.dtype = decoding.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._block)

    def _block(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
        # Single numbers become slices of length one: a block keeps its three axes until it is decoded.
        slices = tuple(slice(k, k + 1) if isinstance(k, (int, np.integer)) else k for k in key)
        ranges = [each.indices(length) for each, length in zip(slices, self.shape, strict=True)]
        # Bands are read contiguously, because scales may be per band; steps are applied after decoding.
        start, stop, step = ranges[0]
        requested = [slice(start, stop), *slices[1:]]
        block, hidden = self._stored(requested)
        values = self._decoding.apply(block, start)
        if hidden is not None:
            values[hidden] = np.nan
        return values[::step][tuple(0 if isinstance(k, (int, np.integer)) else slice(None) for k in key)]

    def _stored(self, slices: list[slice]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Return the numbers (bands, y, x) of a block of contiguous bands, and its mask."""
        shape = [len(range(*each.indices(length))) for each, length in zip(slices, self.shape, strict=True)]
        stored = [slice(None)] * len(self._axes)
        for axis, each in zip(self._axes, slices[-len(self._axes) :], strict=True):
            stored[axis] = each
        with reading(str(self._path), self._kind):
            block = np.asarray(self._read(tuple(stored)))
            hidden = None if self._mask is None else self._mask((slices[0], slices[1], slices[2]))
        block = np.transpose(block, self._axes).reshape(shape)
        return block, None if hidden is None else np.broadcast_to(hidden, block.shape)

    def sample(self) -> NDArray[Any]:
        """Return stored numbers (before decoding) of a sample of pixels, in one axis, missing ones left out.

        A small image is read completely; of a large one, nine windows on a grid and at most 32 bands.
        """
        windows = [(ys, xs) for ys in _windows(self.shape[1]) for xs in _windows(self.shape[2])]
        return np.concatenate([part for ys, xs in windows for part in self._sampled(ys, xs)])

    def sample_middle(self) -> NDArray[Any]:
        """Return the same of a few pixels in the middle, of a file of which little should be fetched."""
        ys, xs = (slice(max(0, n // 2 - 32), n // 2 + 32) for n in self.shape[1:])
        return np.concatenate(self._sampled(ys, xs))

    def _sampled(self, ys: slice, xs: slice) -> list[NDArray[Any]]:
        bands = self.shape[0]
        picked = sorted({int(b) for b in np.linspace(0, bands - 1, min(bands, 32))})
        blocks = [slice(0, bands)] if len(picked) == bands else [slice(b, b + 1) for b in picked]
        parts = []
        for band in blocks:
            block, hidden = self._stored([band, ys, xs])
            no_values = [each for each in (hidden, self._decoding.missing(block, band.start)) if each is not None]
            parts.append(block[~np.logical_or.reduce(no_values)] if no_values else block.ravel())
        return parts

    def with_decoding(self, decoding: Decoding) -> LazyValues:
        """Return the same view under another decoding."""
        other = LazyValues.__new__(LazyValues)
        other.__dict__.update(self.__dict__)
        other._decoding = decoding
        other.dtype = decoding.dtype
        return other

    def as_variable(self) -> xr.Variable:
        """Return the values as a lazy variable with dims ``(band, y, x)``."""
        return xr.Variable(("band", "y", "x"), indexing.LazilyIndexedArray(self))


def decoding_of(scene: xr.DataArray) -> Decoding | None:
    """Return how the stored numbers of a scene become values; None of one that is not in its file any more."""
    data: Any = scene.variable._data
    while not isinstance(data, LazyValues):
        data = getattr(data, "array", None)
        if data is None:
            return None
    return data._decoding


def _windows(length: int) -> list[slice]:
    if length <= 512:
        return [slice(0, length)]
    return [slice(start, start + 128) for start in (0, length // 2 - 64, length - 128)]


def in_blocks(scene: xr.DataArray) -> xr.DataArray:
    """Return a large scene that is still in its file as dask arrays, so that it can be written block by block.

    Parameters
    ----------
    scene : xarray.DataArray
        Canonical dims; ``encoding["preferred_chunks"]`` may name the ``y`` and ``x`` size that is cheap to read.

    Returns
    -------
    xarray.DataArray
        ``scene`` itself, if it is in memory, of dask arrays already, or small.
    """
    if scene.chunks is not None or scene.variable._in_memory or scene.nbytes <= _WHOLE_BYTES:
        return scene
    preferred = scene.encoding.get("preferred_chunks") or {}
    chunks = {"band": -1, **{axis: int(preferred.get(axis, BLOCK)) for axis in ("y", "x")}}
    return scene.copy(data=scene.variable.chunk(chunks).data)  # values only; coordinates are unchanged


def few_blocks_at_once() -> AbstractContextManager[Any]:
    """Compute dask arrays in two threads of this process: one reads and computes while the other one writes."""
    import dask

    return dask.config.set(scheduler="threads", num_workers=2)
