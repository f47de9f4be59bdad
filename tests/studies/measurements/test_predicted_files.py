"""Scenes in files for calibration: which files, and which of their bands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from finewave.calibration.intervals import calibrated
from finewave.cli import main
from finewave.errors import InputError
from finewave.io.open_save import save_scene
from finewave.studies.measurements.coverage import errors_of_model
from finewave.studies.measurements.predicted_files import files_named, predicted_files
from finewave.systems.registry import create_model
from finewave.zoo.card import describe
from finewave.zoo.model import Model
from tests.inference.tiny_models import scene_of

BANDS = [400.0, 460.0, 520.0, 580.0, 640.0, 700.0]


def model_of_six_bands() -> Model:
    net = create_model("ridge", ms_bands=3, hs_bands=6)
    card = describe(
        net, name="tiny", sensor="nikon-d5100", wavelengths_nm=BANDS, degradation={"kernel": "gaussian", "scale": 1}
    )
    return Model(net, card)


def written(folder: Path, name: str, wavelengths: list[float]) -> Path:
    save_scene(scene_of(12, 10, bands=len(wavelengths), wavelengths=wavelengths), folder / name)
    return folder / name


def test_bands_are_found_by_wavelength_and_errors_become_half_widths(tmp_path: Path) -> None:
    wider = [360.0, *BANDS, 740.0]
    for name in ("a.tif", "bb.tif", "ccc.tif"):
        written(tmp_path, name, wider)
    files = files_named([str(tmp_path / "*.tif"), str(tmp_path / "a.tif")])
    assert [each.name for each in files] == ["a.tif", "bb.tif", "ccc.tif"]
    model = model_of_six_bands()
    first = next(predicted_files(model, files))
    assert first.truth.shape == first.predicted.shape == (6, 12, 10)
    assert first.observed.shape == (3, 12, 10)
    made = calibrated(errors_of_model(model, "mine", files=files), "mine")
    assert made.calibration["dataset"] == "mine"
    assert list(made.calibration["coverage"]["0.9"]) == ["a.tif", "bb.tif", "ccc.tif"]


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file is called"):
        files_named([str(tmp_path / "*.tif")])
    short = written(tmp_path, "short.tif", BANDS[:4])
    with pytest.raises(InputError, match="has no band at 640 nm"):
        next(predicted_files(model_of_six_bands(), [short]))
    for arguments, words in (
        (["--folds", "loo", "--scene", str(short)], "leave out --scene"),
        (["--folds", "two"], "--folds two"),
        (["--scene", str(tmp_path / "no.tif")], "no file is called"),
    ):
        result = CliRunner().invoke(main, ["calibrate", str(tmp_path), *arguments])
        assert result.exit_code == 2
        assert words in result.stderr
    with pytest.raises(InputError, match="split train"):
        errors_of_model(model_of_six_bands(), "cave", "train")


def test_a_data_set_without_the_split_is_refused_before_anything_is_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_of_six_bands().save(tmp_path / "tiny")
    monkeypatch.setattr("finewave.datasets.registry.known_split", lambda name: {"train": ["a", "b"], "val": []})
    monkeypatch.setattr("finewave.studies.measurements.coverage.errors_of_refits", None)
    for arguments in (["--folds", "loo"], [], ["--split", "test"]):
        result = CliRunner().invoke(main, ["calibrate", str(tmp_path / "tiny"), *arguments])
        assert result.exit_code == 2, result.output
        assert "unknown split of cave" in result.stderr


def test_json_has_what_was_computed(tmp_path: Path) -> None:
    model_of_six_bands().save(tmp_path / "tiny")
    for name in ("a.tif", "bb.tif", "ccc.tif"):
        written(tmp_path, name, BANDS)
    said = ["calibrate", str(tmp_path / "tiny"), "--scene", str(tmp_path / "*.tif"), "--spots", "0", "--json"]
    result = CliRunner().invoke(main, said)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert set(found) == {"coverage", "by_others", "written"}
    assert set(found["by_others"]) == {"a.tif", "bb.tif", "ccc.tif"}


def test_values_are_those_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "a.tif", BANDS)
    scene = scene_of(12, 10, bands=6, wavelengths=BANDS)
    found = next(predicted_files(model_of_six_bands(), [path]))
    np.testing.assert_allclose(found.truth.numpy(), scene.values, atol=1e-6)
