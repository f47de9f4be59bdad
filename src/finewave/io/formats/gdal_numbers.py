"""Facts about stored numbers from GDAL and file tags: scale, offset, special numbers, used bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from finewave.io.formats.stated import Stated, stated_in


@dataclass(frozen=True)
class StatedByGdal:
    """Scale factors and offsets per band, None where not stated; further numbers that mark missing values.

    Attributes
    ----------
    factors, offsets : tuple of (float or None)
        One per band.
    special : tuple of float
        Stored numbers that mark missing values, besides GDAL's own nodata.
    valid_range : (float, float) or None
        Of the stored numbers.
    bits : int or None
        Number of used bits, if stated.
    """

    factors: tuple[float | None, ...]
    offsets: tuple[float | None, ...]
    special: tuple[float, ...]
    valid_range: tuple[float, float] | None
    bits: int | None


def stated_of(dataset: Any) -> StatedByGdal:
    """Read an open rasterio dataset: GDAL's scales first, then tags of the bands, then tags of the file."""
    floats = all(each.startswith("float") for each in dataset.dtypes)
    whole = stated_in(dataset.tags(), of_whole_file=True, floats=floats)
    bands = [stated_in(dataset.tags(index), floats=floats) for index in dataset.indexes]
    pairs = [
        _pair(scale, offset, band, whole)
        for scale, offset, band in zip(dataset.scales, dataset.offsets, bands, strict=True)
    ]
    bits = {dataset.tags(index, ns="IMAGE_STRUCTURE").get("NBITS") for index in dataset.indexes}
    common = bits.pop() if len(bits) == 1 else None
    return StatedByGdal(
        tuple(factor for factor, _ in pairs),
        tuple(offset for _, offset in pairs),
        whole.missing or bands[0].missing,
        whole.valid_range or bands[0].valid_range,
        int(common) if common is not None and common.isdigit() else None,
    )


def _pair(scale: float, offset: float, band: Stated, whole: Stated) -> tuple[float | None, float | None]:
    if scale != 1 or offset != 0:
        return scale, offset
    source = next((each for each in (band, whole) if each.scale_factor is not None or each.offset is not None), None)
    return (None, None) if source is None else (source.scale_factor, source.offset)


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
