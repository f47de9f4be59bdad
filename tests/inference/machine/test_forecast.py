"""Size and time are said before a long run, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from finewave.inference.machine import forecast
from finewave.inference.predict import predict_file
from tests.inference.tiny_models import save_model, write_scene


def test_size_and_time_before_a_long_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, model = write_scene(tmp_path / "scene.tif", 40, 30), save_model(tmp_path / "tiny")
    lines: list[str] = []
    predict_file(source, tmp_path / "short.tif", model, tile=20, say=lines.append)
    assert lines == []
    monkeypatch.setattr(forecast, "LONG_PIXELS", 80 * 60)
    monkeypatch.setattr(forecast, "_seconds", lambda model, request, side: 3.0)
    predict_file(source, tmp_path / "long.tif", model, tile=20, halo=0, dtype="uint16", bands=[450], say=lines.append)
    # 40 x 30 pixels, seen once, 3 s each
    assert lines == ["the output has 80 x 60 pixels of 1 bands, 0.0 MB before packing; 4 tiles take about 1 h 00 min"]


def test_the_time_is_that_of_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, model = write_scene(tmp_path / "scene.tif", 40, 30), save_model(tmp_path / "tiny")
    monkeypatch.setattr(forecast, "LONG_PIXELS", 1)
    lines: list[str] = []
    predict_file(source, tmp_path / "out.tif", model, tile=20, say=lines.append)
    assert len(lines) == 1
    assert lines[0].endswith("4 tiles take about 1 min")
