"""Reading, network and storing overlap: shown by waiting for each other, not by a clock."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.overlap import common, covered
from finewave.inference.machine import engine
from finewave.inference.predict import predict_file
from finewave.io.open_save import save_scene
from finewave.scene import make_scene
from finewave.systems.registry import create_model
from finewave.zoo.card import describe
from finewave.zoo.model import Model

PATIENCE = 60
"""Seconds until it is certain that nothing else runs."""


def test_the_next_tile_is_read_while_the_network_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each tile, but for the last, waits within its computation until another one has been read."""
    wavelengths = [500.0, 600.0]
    values = np.linspace(0, 1, 2 * 24 * 16, dtype=np.float32).reshape(2, 24, 16)
    save_scene(make_scene(values, wavelengths=wavelengths), tmp_path / "scene.tif")
    net = create_model("bicubic", scale=2, hs_bands=2)
    model = Model(net, describe(net, wavelengths_nm=wavelengths))
    changed, counts = threading.Condition(), {"read": 0, "run": 0}
    read, run, tiles = engine.read_tile, engine.run_tile, 6
    alone: list[int] = []

    def reading(*arguments: Any) -> Any:
        with changed:
            counts["read"] += 1
            changed.notify_all()
        return read(*arguments)

    def running(*arguments: Any) -> Any:
        with changed:
            counts["run"] += 1
            number = counts["run"]
            if not changed.wait_for(lambda: counts["read"] > number or counts["read"] == tiles, PATIENCE):
                alone.append(number)
        return run(*arguments)

    monkeypatch.setattr(engine, "read_tile", reading)
    monkeypatch.setattr(engine, "run_tile", running)
    predict_file(tmp_path / "scene.tif", tmp_path / "result.tif", model, tile=8, halo=4)
    assert (counts["read"], counts["run"]) == (tiles, tiles)
    assert not alone


def test_spans_are_counted_once() -> None:
    assert covered([(2.0, 3.0), (0.0, 1.0), (0.5, 1.5)]) == [(0.0, 1.5), (2.0, 3.0)]
    assert common([(0.0, 2.0), (1.0, 3.0)], [(2.5, 4.0), (-1.0, 0.5)]) == pytest.approx(1.0)
