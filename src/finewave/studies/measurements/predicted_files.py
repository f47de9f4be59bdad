"""Hyperspectral scenes in files, degraded as a model's card says and predicted from that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from glob import glob
from pathlib import Path

import numpy as np

from finewave.datasets.patches import DegradedScene
from finewave.errors import InputError
from finewave.inference.matching.band_matching import wavelengths_of
from finewave.io.open_save import load_scene
from finewave.physics.sensors import get_sensor
from finewave.studies.measurements.anchor_spots import PredictedScene, observation_of
from finewave.zoo.model import Model

_SAME = 0.6  # of the distance between a model's bands


def files_named(patterns: Sequence[str]) -> list[Path]:
    """Return the files that names and patterns (``scenes/*.tif``) stand for; none is an `InputError`."""
    found: list[Path] = []
    for pattern in patterns:
        paths = [Path(pattern)] if Path(pattern).exists() else [Path(each) for each in sorted(glob(pattern))]  # noqa: PTH207 - a pattern may be absolute
        if not paths:
            raise InputError(f"no file is called {pattern}")
        found += paths
    return list(dict.fromkeys(found))


def predicted_files(
    model: Model, paths: Sequence[Path], progress: Callable[[str], None] = lambda line: None
) -> Iterator[PredictedScene]:
    """Yield the scenes of files, each predicted once.

    Parameters
    ----------
    model : Model
        See `finewave.studies.measurements.anchor_spots.observation_of`.
    paths : sequence of Path
        Scenes of all bands of the model's output, or more.
    progress : callable

    Raises
    ------
    InputError
        A file cannot be read, or lacks a band.
    """
    sensor, degradation = observation_of(model)
    wanted = np.asarray(model.card.wavelengths_nm if model.card is not None else None, np.float64)
    response = get_sensor(sensor).response(wanted)
    for path in paths:
        values = _bands_of(path, wanted)
        whole = DegradedScene(path.name, values, 1.0, model.scale, degradation).whole(response)
        observed = whole[model.inputs[0]]
        progress(path.name)
        yield PredictedScene(
            path.name, observed[0], model.predict(**{model.inputs[0]: observed})[0], whole["hr_hsi"][0]
        )


def _bands_of(path: Path, wanted: np.ndarray) -> np.ndarray:
    """Return the bands (C, H, W) of a file that are nearest to wavelengths."""
    scene = load_scene(path)
    own = wavelengths_of(scene)
    if own is None:
        raise InputError(f"{path}: the wavelengths of its bands are not known")
    nearest = np.abs(own[None] - wanted[:, None]).argmin(1)
    apart = np.abs(own[nearest] - wanted)
    allowed = _SAME * np.gradient(wanted) if len(wanted) > 1 else np.array([10.0])
    if (apart > allowed).any():
        lacking = wanted[apart > allowed][0]
        raise InputError(f"{path} has no band at {lacking:g} nm; scenes of the model's own bands are needed")
    values: np.ndarray = scene.values[nearest].astype(np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"{path} has pixels without a value; give a part of it that has none")
    return values
