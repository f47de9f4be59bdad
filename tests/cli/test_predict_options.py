"""The command line has every option of a prediction, by the same name and default."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np

import finewave as fw
from finewave.cli.predict import KERNELS, predict
from finewave.cli.terminal.shared_options import numbers_or_names
from finewave.inference.options import PredictOptions
from finewave.physics import degradation
from finewave.scene import make_scene
from tests.cli.command_line import assert_refused, run

OWN = {"sources", "output", "model", "as_json"}


def test_options_and_defaults_are_those_of_python() -> None:
    parameters = {each.name: each for each in predict.params if each.name not in OWN}
    options = {field.name: field.default for field in fields(PredictOptions)}
    assert set(parameters) == set(options)
    for name, default in options.items():
        given = parameters[name].default
        stated = bool(default) and default is not None
        assert given == default if stated else not given or "UNSET" in repr(given), name
    assert KERNELS == degradation.KERNELS


def test_the_band_axis_and_the_resolution_are_chosen(tmp_path: Path) -> None:
    cube = np.random.default_rng(0).random((4, 6, 5), dtype=np.float32)
    np.save(tmp_path / "a.npy", np.moveaxis(cube, 0, 1))
    told = json.loads(run("info", tmp_path / "a.npy", "--band-axis", "1", "--json").stdout)
    assert (told["bands"], told["rows"], told["columns"]) == (4, 6, 5)
    asked = ("-o", tmp_path / "out.tif", "--model", "bicubic", "--scale", "2")
    assert run("predict", tmp_path / "a.npy", *asked, "--band-axis", "1").exit_code == 0
    assert fw.open_scene(tmp_path / "out.tif").shape == (4, 12, 10)
    assert_refused(run("info", tmp_path / "out.tif", "--band-axis", "1"), "--band-axis")
    bands = tmp_path / "bands"
    bands.mkdir()
    for name, side, size in (("a", 10, 8), ("b", 20, 4)):
        place = {"crs": "EPSG:32632", "transform": (side, 0, 5e5, 0, -side, 5e6)}
        fw.save_scene(make_scene(np.full((1, size, size), 0.5, np.float32), **place), bands / f"{name}.tif")
    told = json.loads(run("info", bands, "--resolution", "20", "--json").stdout)
    assert (told["bands"], told["rows"], told["pixel_size"]) == (2, 4, 20)
    assert run("predict", bands, *asked, "--resolution", "20").exit_code == 0
    assert fw.open_scene(tmp_path / "out.tif").shape == (2, 8, 8)
    assert_refused(run("predict", bands, *asked, "--resolution", "15"), "pixels of 15")


def test_bands_are_wavelengths_or_names() -> None:
    assert numbers_or_names("550, 650.5,B2") == [550.0, 650.5, "B2"]
    assert numbers_or_names(None) is None
