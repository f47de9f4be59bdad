"""A data set small enough to train on in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finewave.datasets.catalogue.cave import wavelengths
from finewave.datasets.store import write_store
from finewave.systems.registry import SYSTEMS
from tests.training.small_jssunet import SMALL
from tests.training.stand_ins import STAND_INS


def smooth_scene(seed: int, size: int = 48) -> np.ndarray:
    """A few soft blobs of smooth spectra, uint16 (31, size, size)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    cube = np.full((31, size, size), 0.05)
    for _ in range(5):
        centre, width = random.uniform(0, 1, 2), random.uniform(0.1, 0.4)
        spectrum = np.exp(-(((wavelengths() - random.uniform(400, 700)) / random.uniform(40, 150)) ** 2))
        blob = np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / width**2)
        cube += 0.3 * spectrum[:, None, None] * blob
    return (np.clip(cube, 0, 1) * 65535).astype(np.uint16)


@pytest.fixture(scope="session")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared store with three training scenes and one for validation."""
    scenes = {f"scene{i}": smooth_scene(i) for i in range(4)}
    attributes = {
        "dataset": "cave",
        "full_scale": 65535,
        "split": {"train": ["scene0", "scene1", "scene2"], "val": ["scene3"], "test": []},
    }
    path = tmp_path_factory.mktemp("prepared") / "small.zarr"
    return write_store(path, scenes.items(), wavelengths(), attributes)


def quick(store: Path, out: Path) -> list[str]:
    """Return what makes the published recipe a matter of seconds."""
    return [
        f"data.store={store}",
        f"out={out}",
        *SMALL,
        "data.augment=true",
        "phase1.steps=12",
        "phase1.validate_every=6",
        "phase1.clip=1.0",
        "phase2.steps=4",
        "phase2.validate_every=4",
    ]


@pytest.fixture
def overrides(small_store: Path, tmp_path: Path) -> list[str]:
    """Of a run of the test's own."""
    return quick(small_store, tmp_path / "run")


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks of each task under names of their own, see `STAND_INS`."""
    for name, system in STAND_INS.items():
        monkeypatch.setitem(SYSTEMS, name, system)


@pytest.fixture
def common(small_store: Path, tmp_path: Path, stand_ins: None) -> list[str]:
    """What makes the common recipe a matter of seconds."""
    return [
        f"data.store={small_store}",
        f"out={tmp_path / 'run'}",
        "data.crop=16",
        "data.batch_size=2",
        "phase1.steps=6",
        "phase1.validate_every=3",
        "phase1.ema=0.9",
    ]
