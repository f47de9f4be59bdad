"""Missing pixels of a raster from GDAL: nodata, internal and external masks, alpha bands."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finewave.io.formats.gdal_drivers import driver_of
from finewave.io.formats.gdal_environment import quiet_gdal
from finewave.io.formats.lazy import Slices
from finewave.io.network.location import leads_to_network
from finewave.warnings import FinewaveWarning

_SIDE = 256  # side of the windows in which a possible alpha band is checked
_OFTEN = 16  # at this many pixels, only two distinct numbers are no accident


@dataclass(frozen=True)
class Masks:
    """Masks of a raster.

    Attributes
    ----------
    nodata : tuple of (float or None)
        One per band.
    alpha : int or None
        Index, from 0, of the band that is transparency.
    shared : bool
        Whether the file has a mask for all bands.
    single : bool
        Whether bands have separate masks.
    """

    nodata: tuple[float | None, ...]
    alpha: int | None
    shared: bool
    single: bool

    @property
    def kept(self) -> tuple[int, ...]:
        """Indices, from 0, of the bands other than alpha."""
        return tuple(i for i in range(len(self.nodata)) if i != self.alpha)

    def reader(self, path: Path | str, **how: Any) -> Callable[[Slices], NDArray[np.bool_]] | None:
        """Return a mask reader for `LazyValues`; None if only nodata marks missing pixels.

        Parameters
        ----------
        path : pathlib.Path
            The file.
        **how
            Keywords of `rasterio.open`.
        """
        if self.alpha is None and not self.shared and not self.single:
            return None
        return _MaskReader(path, self, how)


class _MaskReader:
    """Reads masks with a separate handle for each thread, as GDAL requires."""

    def __init__(self, path: Path | str, masks: Masks, how: dict[str, Any]) -> None:
        self._path, self._masks, self._how = path, masks, how
        self._open = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        return {"_path": self._path, "_masks": self._masks, "_how": self._how}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open = threading.local()

    def __call__(self, key: Slices) -> NDArray[np.bool_]:
        from rasterio.windows import Window

        with quiet_gdal(self._path):
            dataset = self._dataset()
            rows, columns = (range(*each.indices(n)) for each, n in zip(key[1:], dataset.shape, strict=True))
            window = Window(columns.start, rows.start, len(columns) * columns.step, len(rows) * rows.step)
            steps = (slice(None, None, rows.step), slice(None, None, columns.step))
            hidden = np.zeros((1, len(rows), len(columns)), bool)
            if self._masks.single:
                kept = self._masks.kept
                bands = [kept[i] + 1 for i in range(*key[0].indices(len(kept)))]
                hidden = dataset.read_masks(bands, window=window, boundless=False)[:, *steps] == 0
            elif self._masks.shared:
                hidden = hidden | (dataset.read_masks(1, window=window)[steps] == 0)
            if self._masks.alpha is not None:
                hidden = hidden | (dataset.read(self._masks.alpha + 1, window=window)[steps] == 0)
        return np.asarray(hidden)

    def _dataset(self) -> Any:
        import rasterio

        if not hasattr(self._open, "dataset"):
            self._open.dataset = rasterio.open(self._path, **{"driver": driver_of(self._path), **self._how})
        return self._open.dataset


def masks_of(dataset: Any) -> Masks:
    """Return the masks of an open rasterio dataset."""
    from rasterio.enums import MaskFlags

    flags = [set(each) for each in dataset.mask_flag_enums]
    shared = any(MaskFlags.per_dataset in each and MaskFlags.alpha not in each for each in flags)
    # a separate mask: no flag set
    return Masks(tuple(dataset.nodatavals), alpha_band(dataset), shared, any(not each for each in flags))


def alpha_band(dataset: Any) -> int | None:
    """Return the index, from 0, of the alpha band; None if there is none.

    One declared as alpha; or the last one, if it has no name and holds nothing but 0 and the largest number.
    """
    from rasterio.enums import ColorInterp

    declared = [i for i, each in enumerate(dataset.colorinterp) if each == ColorInterp.alpha]
    if dataset.count < 2 or len(declared) > 1:
        return None
    if declared:
        return declared[0]
    # whether one that is not declared is one shows in its values, too many to fetch for that
    return dataset.count - 1 if not leads_to_network(dataset.name) and _looks_like_alpha(dataset) else None


def warn_of_undeclared_alpha(dataset: Any, path: Path | str) -> None:
    """Warn that a band not declared as alpha was used as a mask."""
    from rasterio.enums import ColorInterp

    if ColorInterp.alpha not in dataset.colorinterp and alpha_band(dataset) is not None:
        top = np.iinfo(dataset.dtypes[-1]).max
        warnings.warn(
            f"{path}: band {dataset.count} holds nothing but 0 and {top} and was taken as a mask (alpha), not as a "
            "band; give it a description in the file if it is one",
            FinewaveWarning,
            stacklevel=5,
        )


def _looks_like_alpha(dataset: Any) -> bool:
    from rasterio.enums import ColorInterp
    from rasterio.windows import Window

    last, dtype = dataset.count, np.dtype(dataset.dtypes[-1])
    if last < 2 or dtype.kind != "u" or dataset.colorinterp[-1] != ColorInterp.undefined or dataset.descriptions[-1]:
        return False
    if dataset.tags(last) or dataset.tags(last, ns="IMAGERY") or dataset.nodatavals[-1] is not None:
        return False
    top = np.iinfo(dtype).max
    seen = 0
    height, width = dataset.shape
    for row in dict.fromkeys((0, max(0, height // 2 - _SIDE // 2), max(0, height - _SIDE))):
        for column in dict.fromkeys((0, max(0, width // 2 - _SIDE // 2), max(0, width - _SIDE))):
            window = Window(column, row, min(_SIDE, width - column), min(_SIDE, height - row))
            numbers = dataset.read(last, window=window)
            if not np.all((numbers == 0) | (numbers == top)):
                return False
            seen += int(np.count_nonzero(numbers == top))
    return seen >= _OFTEN
