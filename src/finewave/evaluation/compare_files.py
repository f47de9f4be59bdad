"""Metrics of two files of the same scene: ``finewave compare``."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from finewave.errors import InputError
from finewave.warnings import FinewaveWarning


def compare_files(
    first: str | Path, second: str | Path, *, scale: float = 4, convention: str = "finewave", **keywords: Any
) -> dict[str, float]:
    """Compare a file with the truth, or with another result.

    Parameters
    ----------
    first, second : str or pathlib.Path
        Prediction and truth, as for `open_scene`; of one size and number of bands.
    scale : float
        Sampling factor between the high and the low resolution, for ERGAS.
    convention : str
        See `finewave.metrics.evaluate`.
    **keywords
        As for `open_scene`, for both files.

    Returns
    -------
    dict of str to float
        As of `finewave.metrics.evaluate`.

    Raises
    ------
    InputError
        A file cannot be read, or their sizes or wavelengths differ.

    Warns
    -----
    FinewaveWarning
        The files state other places.
    """
    from finewave.io.open_save import load_scene
    from finewave.metrics import evaluate
    from finewave.scene import scene_crs, scene_transform

    scenes = [load_scene(path, **keywords) for path in (first, second)]
    shapes = [scene.shape for scene in scenes]
    if shapes[0] != shapes[1]:
        (b, h, w), (b2, h2, w2) = shapes
        raise InputError(
            f"{first} has {b} bands of {w} x {h} pixels, {second} {b2} of {w2} x {h2}; only images of one size compare"
        )
    places = [(scene_crs(scene), scene_transform(scene)) for scene in scenes]
    if None not in places[0] and None not in places[1] and places[0] != places[1]:
        _warn(
            f"{first} and {second} lie elsewhere on the ground by their transforms; pixels are compared as they lie, "
            "bring both to one grid to have places compared"
        )
    return evaluate(scenes[0], scenes[1], scale, convention=convention)


def _warn(message: str) -> None:
    warnings.warn(message, FinewaveWarning, stacklevel=3)
