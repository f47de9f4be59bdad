"""The commands that are killed, small enough to run hundreds of times, and what of their output must be the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_SMALL = ("model.features=4", "model.stages=1", "data.crop=16", "data.batch_size=1", "phase1.validate_every=3")
_CLOCK = {"trained", "hours", "seconds", "date", "commit", "hardware"}
"""Facts of a card or a result that tell when, how long and where, not what."""


@dataclass(frozen=True)
class Job:
    """One command.

    Attributes
    ----------
    name : str
    words : callable
        Takes the folders of inputs and of outputs; returns what stands behind ``finewave``.
    prepares : bool
        Whether prepared data sets are its outputs, not its inputs.
    """

    name: str
    words: Callable[[Path, Path], list[str]]
    prepares: bool = False


def write_inputs(folder: Path) -> None:
    """Write what all commands read."""
    from finewave.io.open_save import save_scene
    from finewave.scene import make_scene
    from tests.inference.tiny_models import save_model, write_scene
    from tests.training.conftest import smooth_scene
    from tests.training.test_fit import SENSOR, WAVELENGTHS, blobs

    save_model(folder / "tiny")
    write_scene(folder / "scene.tif", 50, 75)
    (folder / "mine.yaml").write_text(SENSOR)
    save_scene(make_scene(blobs(0), wavelengths=WAVELENGTHS), folder / "flight.tif")
    published = folder / "published"
    published.mkdir()
    from finewave.datasets.catalogue.cave import wavelengths

    for number in range(4):
        cube = (smooth_scene(number) / 65535).astype(np.float32)
        save_scene(make_scene(cube, wavelengths=wavelengths()), published / f"scene{number}.tif")


def write_store(folder: Path) -> None:
    """Write the prepared data set that trainings read, where CAVE is looked for."""
    from finewave.datasets import store
    from finewave.datasets.catalogue.cave import wavelengths
    from tests.training.conftest import smooth_scene

    scenes = {f"scene{i}": smooth_scene(i) for i in range(4)}
    attributes = {
        "dataset": "cave",
        "full_scale": 65535,
        "split": {"train": ["scene0", "scene1", "scene2"], "val": ["scene3"], "test": []},
    }
    store.write_store(folder / "prepared" / "cave.zarr", scenes.items(), wavelengths(), attributes)


def _predict(*more: str) -> Callable[[Path, Path], list[str]]:
    return lambda inputs, outputs: [
        *("predict", str(inputs / "scene.tif"), "-o", str(outputs / "out.tif"), "--model", str(inputs / "tiny")),
        *more,
    ]


def _train(inputs: Path, outputs: Path) -> list[str]:
    small = [
        *_SMALL,
        "model.n_clusters=3",
        "model.patch=3",
        "model.window=5",
        "phase1.steps=6",
        "phase2.steps=2",
        "phase2.validate_every=2",
    ]
    return ["train", "jssunet-cave-x4", f"out={outputs / 'run'}", f"data.store={inputs / 'prepared/cave.zarr'}", *small]


def _fit(inputs: Path, outputs: Path) -> list[str]:
    told = [word for each in _SMALL for word in ("--set", each)]
    about = ["--sensor", str(inputs / "mine.yaml"), "--scale", "2", "--steps", "6", "--system", "jssunet"]
    return ["fit", str(inputs / "flight.tif"), "-o", str(outputs / "model"), *about, *told]


def _study(inputs: Path, outputs: Path) -> list[str]:
    asked = ["--datasets", "cave", "--split", "val", "--budget", "6steps", "--rows", "floor", "none"]
    return ["study", "tiny", *asked, "--out", str(outputs / "study")]


def _prepare(inputs: Path, outputs: Path) -> list[str]:
    return ["data", "prepare", "small", "--own", "--from", str(inputs / "published")]


JOBS = {
    job.name: job
    for job in (
        Job("predict, one tile", _predict("--tile", "200")),
        Job("predict, threads", _predict("--tile", "20")),
        Job("predict, workers", _predict("--tile", "20", "--workers", "2")),
        Job("train", _train),
        Job("fit", _fit),
        Job("study", _study),
        Job("data prepare", _prepare, prepares=True),
    )
}


def contents(outputs: Path) -> dict[str, str]:
    """Return what has to be the same after a kill: a checksum by name of all but logs and what tells of the clock."""
    found = {}
    for path in sorted(outputs.rglob("*")):
        name = path.relative_to(outputs).as_posix()
        if path.is_dir() or path.name.startswith("events.out") or path.suffix == ".ckpt" or path.name == "metrics.csv":
            continue
        content = path.read_bytes()
        if path.suffix == ".json":
            content = json.dumps(_timeless(json.loads(content)), sort_keys=True).replace(str(outputs), "").encode()
        found[name] = hashlib.sha256(content.replace(str(outputs).encode(), b"")).hexdigest()
    return found


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(each) for key, each in value.items() if key not in _CLOCK}
    return [_timeless(each) for each in value] if isinstance(value, list) else value


def left_over(outputs: Path) -> list[str]:
    """Return names that no finished command leaves: locks, hidden and temporary files and folders."""
    return [
        path.relative_to(outputs).as_posix()
        for path in outputs.rglob("*")
        if path.name.startswith(".") or path.suffix in (".tmp", ".lock", ".partial") or ".partial" in path.name
    ]
