"""Missing pixels of a raster from GDAL: nodata, internal and external masks, alpha bands."""

from __future__ import annotations

import re
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finewave.band_names import colour_of
from finewave.io.formats.gdal.gdal_access import driver_of, quiet_gdal
from finewave.io.formats.gdal.gdal_windows import dtype_of
from finewave.io.formats.values.band_lists import kind_of
from finewave.io.formats.values.lazy import Slices
from finewave.io.network.location import leads_to_network
from finewave.warnings import FinewaveWarning
from finewave.wavelengths import wavelength_in_text

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

    def reader(self, path: Path | str, **how: Any) -> MaskReader | None:
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
        return MaskReader(path, self, how)


class MaskReader:
    """Reads masks with a separate handle for each thread, as GDAL requires."""

    def __init__(self, path: Path | str, masks: Masks, how: dict[str, Any]) -> None:
        self._path, self._masks, self._how = path, masks, how
        self._open, self._all = threading.local(), list[Any]()

    def __getstate__(self) -> dict[str, Any]:
        return {"_path": self._path, "_masks": self._masks, "_how": self._how}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open, self._all = threading.local(), []

    def __call__(self, key: Slices) -> NDArray[np.bool_]:
        """Return which pixels of a block are missing."""
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

        if not hasattr(self._open, "dataset") or self._open.dataset.closed:
            self._open.dataset = rasterio.open(self._path, **{"driver": driver_of(self._path), **self._how})
            self._all.append(self._open.dataset)
        return self._open.dataset

    def close(self) -> None:
        """Close the files of all threads, which read no more; one that does opens its own again."""
        while self._all:
            self._all.pop().close()


def masks_of(dataset: Any) -> Masks:
    """Return the masks of an open rasterio dataset."""
    from rasterio.enums import MaskFlags

    flags = [set(each) for each in dataset.mask_flag_enums]
    shared = any(MaskFlags.per_dataset in each and MaskFlags.alpha not in each for each in flags)
    # a separate mask: no flag set
    return Masks(tuple(dataset.nodatavals), alpha_band(dataset), shared, any(not each for each in flags))


def alpha_band(dataset: Any) -> int | None:
    """Return the index, from 0, of the alpha band; None if there is none.

    One declared as alpha, also by its name; or the last one, if it has no name and holds nothing but 0 and the largest
    number, or 0 and 255.
    """
    from rasterio.enums import ColorInterp

    declared = [i for i, each in enumerate(dataset.colorinterp) if each == ColorInterp.alpha]
    # GDAL declares any fourth byte per pixel so, also near infrared
    declared = [i for i in declared if not _is_a_band(dataset, i)]
    if dataset.count < 2 or len(declared) > 1:
        return None
    named = [i for i, each in enumerate(dataset.descriptions) if _ALPHA.fullmatch((each or "").strip().lower())]
    declared = declared or (named if len(named) == 1 else [])
    if declared:
        return declared[0]
    # whether one that is not declared is one shows in its values, too many to fetch for that
    return dataset.count - 1 if not leads_to_network(dataset.name) and _looks_like_alpha(dataset) else None


def warn_of_undeclared_alpha(dataset: Any, path: Path | str) -> None:
    """Warn that a band not declared as alpha was used as a mask."""
    from rasterio.enums import ColorInterp

    alpha = alpha_band(dataset)
    if alpha is not None and not leads_to_network(dataset.name) and _has_many_levels(dataset, alpha):
        warnings.warn(
            f"{path}: band {alpha + 1} is declared as alpha and was taken as a mask, but holds many numbers; if "
            "it is a band, such as near infrared, give it a description in the file, or another colour interpretation",
            FinewaveWarning,
            stacklevel=5,
        )
    if ColorInterp.alpha not in dataset.colorinterp and alpha is not None and not dataset.descriptions[alpha]:
        warnings.warn(
            f"{path}: band {dataset.count} holds nothing but 0 and {_opaque(dataset):g} and was taken as a mask "
            "(alpha), not as a band; give it a description in the file if it is one",
            FinewaveWarning,
            stacklevel=5,
        )


_ALPHA = re.compile(
    r"alpha(?:[ _-]?(?:band|channel))?|(?:band|channel)[ _-]?\d+[ :_-]+\(?alpha\)?|transparency|opacity"
)


def _opaque(dataset: Any) -> float:
    """Return the number of opaque pixels in the last band, 255 or the largest of its type; 0 if that is not clear."""
    from rasterio.windows import Window

    dtype = dtype_of(dataset.dtypes[-1])
    largest = float(np.iinfo(dtype).max) if dtype.kind == "u" else 65535.0
    tops = {255.0, largest}
    seen = holes = 0
    height, width = dataset.shape
    for row in dict.fromkeys((0, max(0, height // 2 - _SIDE // 2), max(0, height - _SIDE))):
        for column in dict.fromkeys((0, max(0, width // 2 - _SIDE // 2), max(0, width - _SIDE))):
            window = Window(column, row, min(_SIDE, width - column), min(_SIDE, height - row))
            numbers = dataset.read(dataset.count, window=window)
            positive = numbers[numbers != 0]
            tops &= set(positive[:1].tolist()) if positive.size else tops
            if not tops or not np.all(positive == next(iter(tops))):
                return 0.0
            seen, holes = seen + positive.size, holes + numbers.size - positive.size
    if seen < _OFTEN or (largest not in tops and not holes):  # a band may be 255 everywhere
        return 0.0
    return float(next(iter(tops)))


def _is_a_band(dataset: Any, index: int) -> bool:
    """Return whether a band has the name of a colour, or a wavelength."""
    name, tags = dataset.descriptions[index], dataset.tags(index + 1)
    has_list = any(kind_of(key) == "wavelength" for key in tags)
    return colour_of(name) is not None or wavelength_in_text(name) is not None or has_list


_SOFT = 0.2
"""Share of pixels that may be half transparent, at the edges of an image."""


def _has_many_levels(dataset: Any, alpha: int) -> bool:
    from rasterio.windows import Window

    height, width = dataset.shape
    row, column = max(0, height // 2 - _SIDE // 2), max(0, width // 2 - _SIDE // 2)
    window = Window(column, row, min(_SIDE, width - column), min(_SIDE, height - row))
    numbers = dataset.read(alpha + 1, window=window)
    between = (numbers != 0) & (numbers != numbers.max())
    return bool(between.mean() > _SOFT and len(np.unique(numbers)) > _OFTEN)


def _looks_like_alpha(dataset: Any) -> bool:
    from rasterio.enums import ColorInterp

    last, dtype = dataset.count, dtype_of(dataset.dtypes[-1])
    if last < 2 or dtype.kind not in "uf" or dataset.colorinterp[-1] != ColorInterp.undefined:
        return False
    if dataset.descriptions[-1] or dataset.tags(last) or dataset.tags(last, ns="IMAGERY"):
        return False
    return dataset.nodatavals[-1] is None and _opaque(dataset) > 0
