"""Results, input and reference that belong together, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from finewave.errors import InputError
from finewave.physics.renderings import wavelengths_of

if TYPE_CHECKING:
    import xarray as xr

SAME_NM = 0.5
"""Files round their wavelengths."""


@dataclass(frozen=True)
class Scenes:
    """Scenes of one place.

    Parameters
    ----------
    results : tuple of xarray.DataArray
        Of one size.
    observed : xarray.DataArray or None
        What they were made from: smaller by a whole factor, or of the same size.
    reference : xarray.DataArray or None
        Of the results' size, bands and wavelengths.
    """

    results: tuple[xr.DataArray, ...]
    observed: xr.DataArray | None = None
    reference: xr.DataArray | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the results."""
        return self.results[0].sizes["y"], self.results[0].sizes["x"]

    @property
    def scale(self) -> int | None:
        """How many pixels of the results lie along a pixel of the input; None without one."""
        return None if self.observed is None else self.size[0] // self.observed.sizes["y"]


def open_scenes(
    results: Sequence[str | Path],
    observed: str | Path | None = None,
    reference: str | Path | None = None,
    *,
    lazy: bool = False,
) -> Scenes:
    """Open scenes that belong together.

    Parameters
    ----------
    results : sequence of path
    observed, reference : path, optional
    lazy : bool
        Leave the values in the files.

    Raises
    ------
    InputError
        If a file cannot be read, or sizes, bands or wavelengths do not fit; both sides are named.
    """
    from finewave.io.open_save import load_scene, open_scene

    read = open_scene if lazy else load_scene
    opened = [read(path) for path in results]
    first, name = opened[0], str(results[0])
    for path, scene in zip(results[1:], opened[1:], strict=True):
        if _pixels(scene) != _pixels(first):
            raise InputError(f"{path} has {_size(scene)}, {name} has {_size(first)}; results must be of one size")
    truth = None if reference is None else read(reference)
    if truth is not None:
        for path, scene in zip(results, opened, strict=True):
            _check_reference(scene, str(path), truth, str(reference))
    source = None if observed is None else read(observed)
    if source is not None:
        _check_input(first, name, source, str(observed))
    return Scenes(tuple(opened), source, truth)


def _check_reference(scene: xr.DataArray, name: str, truth: xr.DataArray, other: str) -> None:
    """Refuse a reference that cannot be compared with a result."""
    if _pixels(scene) != _pixels(truth):
        raise InputError(f"the reference {other} has {_size(truth)}, {name} has {_size(scene)}; they must be the same")
    if scene.sizes["band"] != truth.sizes["band"]:
        raise InputError(
            f"the reference {other} has {_bands(truth)}, {name} has {_bands(scene)}; they must have the same bands"
        )
    ours, theirs = wavelengths_of(scene), wavelengths_of(truth)
    if ours is not None and theirs is not None and not np.allclose(ours, theirs, rtol=0, atol=SAME_NM):
        raise InputError(
            f"the reference {other} has {_bands(truth)}, {name} has {_bands(scene)}; up to "
            f"{np.abs(ours - theirs).max():.3g} nm apart, they cannot be compared"
        )


def _check_input(scene: xr.DataArray, name: str, source: xr.DataArray, other: str) -> None:
    """Refuse an input that a result cannot have been made from."""
    fine, coarse = _pixels(scene), _pixels(source)
    scale = fine[0] // coarse[0]
    if scale < 1 or fine != (scale * coarse[0], scale * coarse[1]):
        raise InputError(
            f"the input {other} has {_size(source)}, {name} has {_size(scene)}; the result's size must be a whole "
            "multiple, the same in both directions"
        )


def _pixels(scene: xr.DataArray) -> tuple[int, int]:
    return scene.sizes["y"], scene.sizes["x"]


def _size(scene: xr.DataArray) -> str:
    return f"{scene.sizes['x']} x {scene.sizes['y']} pixels"


def _bands(scene: xr.DataArray) -> str:
    count, given = scene.sizes["band"], wavelengths_of(scene)
    where = "" if given is None else f" ({given.min():.4g} to {given.max():.4g} nm)"
    return f"{count} band{'s' * (count != 1)}{where}"
