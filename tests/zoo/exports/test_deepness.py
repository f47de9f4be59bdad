"""Files for the plugin of QGIS: what it hands over gives what predict gives."""

from __future__ import annotations

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import onnxruntime
import pytest

import finewave as fw
from finewave.errors import InputError
from finewave.scene import make_scene
from finewave.zoo.card import describe
from finewave.zoo.model import Model
from tests.cli.command_line import run
from tests.test_conformity import build

WAVELENGTHS = [450.0, 500.0, 550.0, 600.0, 650.0]


def model(sensor: str | None, system: str = "sspsr", **options: object) -> Model:
    net = build(system, scale=2, ms_bands=3, hs_bands=5, **options)  # type: ignore[arg-type]
    card = describe(net, name="small", wavelengths_nm=WAVELENGTHS, sensor=sensor)
    return Model(net, card)


def as_the_plugin_does(path: Path, layer: np.ndarray) -> np.ndarray:
    """Return the output (C, s T, s T) for a layer's pixels (T, T, bands), as Deepness makes it."""
    session = onnxruntime.InferenceSession(path)
    (given,) = session.get_inputs()
    bands = given.shape[-3]
    batch = (layer[:, :, :bands].astype("float32") / 255).transpose(2, 0, 1)[None]
    return np.asarray(session.run(None, {given.name: batch})[0][0])


def test_a_photograph_goes_through_the_curve_of_srgb(tmp_path: Path) -> None:
    net = model("srgb", "jssunet-ssr", stages=1)
    path = tmp_path / "net.onnx"
    fw.export(net, path, target="deepness", size=(16, 16))
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    iio.imwrite(tmp_path / "photo.png", pixels)
    expected = fw.super_resolve(fw.open_scene(tmp_path / "photo.png"), net)
    assert np.allclose(as_the_plugin_does(path, pixels), expected.values, atol=1e-4)


def test_reflectance_in_ten_thousandths(tmp_path: Path) -> None:
    net = model(None)
    path = tmp_path / "net.onnx"
    fw.export(net, path, target="deepness", size=(16, 16), full_scale=10_000)
    values = np.random.default_rng(0).integers(0, 10_001, (16, 16, 5), dtype=np.uint16)
    scene = make_scene((values / np.float32(10_000)).transpose(2, 0, 1), wavelengths=WAVELENGTHS)
    made = as_the_plugin_does(path, values)
    assert made.shape == (5, 32, 32)
    assert np.allclose(made, fw.super_resolve(scene, net).values, atol=1e-4)


def test_metadata_is_what_the_plugin_reads(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    fw.export(model(None), path, target="deepness")
    session = onnxruntime.InferenceSession(path)
    facts = {key: json.loads(text) for key, text in session.get_modelmeta().custom_metadata_map.items()}
    assert facts["model_type"].capitalize() == "Superresolution"
    assert int(facts["tile_size"]) == session.get_inputs()[0].shape[-1] == 128
    assert facts["tiles_overlap"] == 0
    assert facts["class_names"]["4"] == "650 nm"
    (output,) = session.get_outputs()
    assert output.shape == [1, 5, 256, 256]


def test_on_the_command_line(tmp_path: Path) -> None:
    folder, path = tmp_path / "small", tmp_path / "net.onnx"
    model(None).save(folder)
    done = run("export", folder, "-o", path, "--for", "deepness", "--size", "16x16", "--full-scale", "1000")
    assert done.exit_code == 0, done.output
    assert "16 x 16 pixels" in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "deepnes"}, "did you mean 'deepness'"),
        ({"target": "deepness", "size": (16, 24)}, "square tiles; 16 x 24"),
        ({"target": "deepness", "full_scale": 0.0}, "full_scale=0 is out of range"),
        ({"full_scale": 100.0}, "belongs to an export for Deepness"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        fw.export(model(None), tmp_path / "net.onnx", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "net.onnx").exists()


def test_other_formats_and_two_inputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Deepness reads ONNX"):
        fw.export(model(None), tmp_path / "net.pt2", target="deepness")
    with pytest.raises(InputError, match="takes lr_hsi and hr_msi"):
        fw.export(model(None, "fusformer"), tmp_path / "net.onnx", target="deepness", size=(8, 8))
