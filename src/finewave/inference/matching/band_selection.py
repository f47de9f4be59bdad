"""Selection of a scene's bands for a model; bands flagged bad are interpolated from their neighbours."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from finewave.errors import InputError
from finewave.inference.matching.band_matching import match_bands, wavelengths_of
from finewave.scene import band_labels, band_values
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    import xarray as xr

    from finewave.zoo.runnable import RunnableModel

Fill = tuple[int, tuple[tuple[int, float], ...]]
"""Position of a band, and the positions and weights of those that it is filled from."""


@dataclass(frozen=True)
class BandSelection:
    """Bands of a scene in the order of a model's input.

    Attributes
    ----------
    indices : tuple of int
        Of the scene's bands.
    fills : tuple of Fill
        Interpolations that replace bands flagged bad.
    """

    indices: tuple[int, ...]
    fills: tuple[Fill, ...] = ()

    def to_list(self) -> list[Any]:
        """Return it in JSON types: only the band indices if none is interpolated."""
        return [*self.indices, *([[list(self.fills)]] if self.fills else [])]


def filled(values: Any, fills: tuple[Fill, ...]) -> Any:
    """Return values (c, ...) of a selection's bands, with bad ones filled; a NumPy or dask array."""
    if not fills:
        return values
    sources = dict(fills)
    bands = []
    for position in range(len(values)):
        parts = sources.get(position, ((position, 1.0),))
        first, *more = (values[i] if weight == 1 else values[i] * np.float32(weight) for i, weight in parts)
        bands.append(sum(more, start=first))
    if isinstance(values, np.ndarray):
        return np.stack(bands)
    import dask.array as da

    return da.stack(bands)


def select_bands(scene: xr.DataArray, model: RunnableModel, name: str | None = None) -> BandSelection:
    """Return the bands for a model's input ``name`` (by default the first), see `match_bands`.

    Warns
    -----
    FinewaveWarning
        If a band that the model needs is flagged bad (``good_band``): it is interpolated in wavelength between the
        nearest good bands, or the nearest good band is repeated at an end.

    Raises
    ------
    InputError
        As `match_bands`; or all bands are flagged bad.
    """
    indices = match_bands(scene, model, name)
    flags = band_values(scene, "good_band")
    good = [flags is None or bool(flags[i]) for i in indices]
    if all(good):
        return BandSelection(tuple(indices))
    labels = band_labels(scene)
    bad = ", ".join(labels[i] for i, is_good in zip(indices, good, strict=True) if not is_good)
    if not any(good):
        raise InputError(f"all bands that {model.name} takes are flagged bad in the scene (good_band): {bad}")
    wavelengths = wavelengths_of(scene)
    places = np.asarray(indices, float) if wavelengths is None else wavelengths[indices]
    warnings.warn(
        f"flagged bad in the scene: {bad}; {model.name} needs {'it' if good.count(False) == 1 else 'them'}: filled "
        "from the good bands beside; take the flag away in the file to have their values used",
        FinewaveWarning,
        stacklevel=4,
    )
    return BandSelection(tuple(indices), _fills(places, np.asarray(good)))


def _fills(places: np.ndarray, good: np.ndarray) -> tuple[Fill, ...]:
    """Return for each bad band the nearest good bands below and above in wavelength."""
    fills: list[Fill] = []
    usable = np.flatnonzero(good)
    for position in np.flatnonzero(~good):
        below = usable[places[usable] <= places[position]]
        above = usable[places[usable] >= places[position]]
        low = int(below[np.argmax(places[below])]) if below.size else None
        high = int(above[np.argmin(places[above])]) if above.size else None
        if low is None or high is None or low == high or places[low] == places[high]:
            only = low if high is None else high if low is None else low
            assert only is not None
            fills.append((int(position), ((only, 1.0),)))
            continue
        part = float((places[position] - places[low]) / (places[high] - places[low]))
        fills.append((int(position), ((low, 1.0 - part), (high, part))))
    return tuple(fills)
