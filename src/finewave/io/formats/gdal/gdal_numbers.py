"""Facts about stored numbers from GDAL and file tags: scale, offset, special numbers, used bits."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from finewave.io.formats.values.decoding import Number
from finewave.io.formats.values.stated import Stated, stated_in
from finewave.warnings import FinewaveWarning


@dataclass(frozen=True)
class StatedByGdal:
    """Numbers of each band: scale factors and offsets, None where not stated; those that mark missing values.

    Attributes
    ----------
    factors, offsets : tuple of (float or None)
        One per band.
    missing : tuple of tuple of float
        Stored numbers of each band that mark missing values, besides GDAL's own nodata.
    valid_ranges : tuple of ((float, float) or None)
        Of the stored numbers of each band.
    percent : bool
        The values of all bands are in percent.
    bits : int or None
        Number of used bits, if stated.
    white_is_zero : bool
        The largest number is black.
    """

    factors: tuple[float | None, ...]
    offsets: tuple[float | None, ...]
    missing: tuple[tuple[float, ...], ...]
    valid_ranges: tuple[tuple[float, float] | None, ...]
    percent: bool
    bits: int | None
    white_is_zero: bool

    def of_bands(self, used: Sequence[int]) -> StatedByGdal:
        """Return what is stated for some of the bands, by their indices."""
        lists = (self.factors, self.offsets, self.missing, self.valid_ranges)
        factors, offsets, missing, valid = (tuple(each[i] for i in used) for each in lists)
        return replace(self, factors=factors, offsets=offsets, missing=missing, valid_ranges=valid)  # type: ignore[arg-type]  # of mixed types


def stated_of(dataset: Any) -> StatedByGdal:
    """Read an open rasterio dataset: GDAL's scales first, then tags of the bands, then tags of the file."""
    floats = all(each.startswith("float") for each in dataset.dtypes)
    of_file = dataset.tags()
    if dataset.driver == "ENVI":
        of_file = {"units": dataset.tags(ns="ENVI").get("data_units", "")}  # the reader of ENVI knows the others
    whole = stated_in(of_file, of_whole_file=True, floats=floats).check(dataset.count, dataset.name)
    units = dataset.units
    bands = []
    for i, index in enumerate(dataset.indexes):
        tags = dataset.tags(index)
        if units[i]:
            tags["units"] = units[i]
        bands.append(stated_in(tags, floats=floats))
    pairs = [
        _pair(scale, offset, band, whole.of_band(i), floats=floats)
        for i, (scale, offset, band) in enumerate(zip(dataset.scales, dataset.offsets, bands, strict=True))
    ]
    has_factor = any(each.scale_factor not in (None, 1.0) for each in bands)
    if floats and has_factor and all(each == (None, None) for each in pairs):
        warnings.warn(
            f"{dataset.name}: the scale factor in its tags was not applied, as its numbers are floats; if they are "
            "stored numbers, state the one that represents 1.0: full_scale= of open_scene, --full-scale of commands",
            FinewaveWarning,
            stacklevel=4,
        )
    structure = [dataset.tags(index, ns="IMAGE_STRUCTURE") for index in dataset.indexes]
    bits = {each.get("NBITS") for each in structure}
    common = bits.pop() if len(bits) == 1 else None
    return StatedByGdal(
        tuple(factor for factor, _ in pairs),
        tuple(offset for _, offset in pairs),
        tuple(each.missing or whole.missing for each in bands),
        tuple(each.valid_range or whole.valid_range for each in bands),
        whole.percent or (bool(bands) and all(each.percent for each in bands)),
        int(common) if common is not None and common.isdigit() else None,
        dataset.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES",
    )


def _pair(scale: float, offset: float, band: Stated, whole: Stated, *, floats: bool) -> tuple[Any, Any]:
    """Return factor and offset of a band.

    Tags remain in files whose integers were converted to floats, where GDAL's own scale would be applied.
    """
    if scale != 1 or offset != 0:
        return scale, offset
    if floats:
        return None, None
    source = next((each for each in (band, whole) if each.scale_factor is not None or each.offset is not None), None)
    return (None, None) if source is None else (source.scale_factor, source.offset)


def scales_of(
    factors: Sequence[float | None], offsets: Sequence[float | None], path: object
) -> tuple[Number | None, Number | None]:
    """Return the scale factor and offset of an image from those of its bands.

    Parameters
    ----------
    factors, offsets : sequence of (float or None)
        One per band, None where not stated.
    path : path
        For messages.

    Returns
    -------
    tuple
        Each one number, one per band, or None. Bands without take those of the others if these agree, otherwise 1 and
        0; a warning names them.
    """
    pairs = list(zip(factors, offsets, strict=True))
    without = [i for i, each in enumerate(pairs) if each == (None, None)]
    if without and len(without) < len(pairs):
        stated = {each for each in pairs if each != (None, None)}
        filling = stated.pop() if len(stated) == 1 else (1.0, 0.0)
        shown = ", ".join(str(i + 1) for i in without[:10]) + (", ..." if len(without) > 10 else "")
        warnings.warn(
            f"{path} states no scale for band {shown}, unlike for the others; taken with the scale factor "
            f"{1.0 if filling[0] is None else filling[0]:g} and the offset {filling[1] or 0.0:g}; state it in the file",
            FinewaveWarning,
            stacklevel=4,
        )
        pairs = [filling if i in without else each for i, each in enumerate(pairs)]
    return one_or_all([factor for factor, _ in pairs], 1.0), one_or_all([offset for _, offset in pairs], 0.0)


def one_or_all(values: Sequence[Any], default: float | None = None) -> Any:
    """Return the number common to all bands, or one per band; None if no band has one.

    Parameters
    ----------
    values : sequence of (float or None)
        One per band.
    default : float, optional
        For bands without, where others have one.
    """
    if all(each is None for each in values):
        return None
    filled = [default if each is None else each for each in values]
    return filled[0] if len(set(filled)) == 1 else tuple(filled)
