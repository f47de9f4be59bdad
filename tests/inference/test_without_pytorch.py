"""Exported networks through ONNX Runtime: the same files, tiles and numbers, and no PyTorch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import venv
import warnings
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import xarray as xr

from finewave.errors import InputError
from finewave.extras import OF_FORMATS, OF_NETWORKS
from finewave.inference.options import PredictOptions
from finewave.inference.predict import predict_file
from finewave.inference.super_resolve import super_resolve
from finewave.io.open_save import load_scene, save_scene
from finewave.scene import make_scene, scene_crs, scene_transform
from finewave.systems.registry import create_model
from finewave.warnings import FinewaveWarning
from finewave.zoo.card import describe
from finewave.zoo.exports.export import export
from finewave.zoo.exports.onnx_model import OnnxModel
from finewave.zoo.model import Model, load_model
from tests.inference.tiny_models import PLACE

ROOT = Path(__file__).parents[2]
BLOCKED = """
import sys

class NoPyTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "onnx", "onnxscript"):
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

sys.meta_path.insert(0, NoPyTorch())
from finewave.cli import main
main(sys.argv[1:])
"""


WAVELENGTHS = [450.0, 475.0, 500.0, 550.0, 600.0]


def scene_of(height: int, width: int, **keywords: Any) -> xr.DataArray:
    values = np.random.default_rng(height + width).random((5, height, width), np.float32)
    return make_scene(0.5 * values + np.linspace(0, 0.5, width, dtype=np.float32), WAVELENGTHS, **keywords)


def write_scene(path: Path, height: int, width: int) -> Path:
    save_scene(scene_of(height, width, **PLACE), path)
    return path


def without_pytorch(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line where PyTorch cannot be imported."""
    command = [sys.executable, "-c", BLOCKED, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SSPSR, which has six poolings: 5 bands to 5 at twice the size."""
    torch.manual_seed(7)
    net = create_model("sspsr", features=8, blocks=1, group_size=3, overlap=1, reduction=2, scale=2, hs_bands=5)
    card = describe(net, wavelengths_nm=WAVELENGTHS, training_crop=16)
    return Model(net, card).save(tmp_path_factory.mktemp("tiny") / "tiny", name="tiny")


@pytest.fixture(scope="module")
def exported(weights: Path) -> Path:
    """The same network for any size, with means over windows of 8 pixels."""
    model = load_model(weights, precision="float32").with_pooling("local")
    return export(model, weights.parent / "tiny.onnx").path


def test_tiles_and_numbers_are_those_of_pytorch(weights: Path, exported: Path, tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "a.tif", 61, 83)
    done = without_pytorch("predict", scene, "-o", tmp_path / "b.nc", "--model", exported, "--tile", "24")
    # on a busy machine it says how far it is
    assert (done.returncode, [line for line in done.stderr.splitlines() if " of 12" not in line]) == (0, [])
    expected = load_scene(predict_file(scene, tmp_path / "c.nc", weights, tile=24, precision="float32")[0])
    result = load_scene(tmp_path / "b.nc")
    np.testing.assert_allclose(result.values, expected.values, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(result["wavelength"], expected["wavelength"])
    np.testing.assert_array_equal(result["x"], expected["x"])
    assert result.attrs["model"] == "tiny"


def test_missing_pixels_and_small_parts(weights: Path, exported: Path) -> None:
    scene = scene_of(20, 31)
    scene[1, 3, 4] = np.nan
    result = super_resolve(scene, exported, clip=(0.0, 0.5), bands=[500])
    expected = super_resolve(scene, load_model(weights, precision="float32"), clip=(0.0, 0.5), bands=[500])
    np.testing.assert_allclose(result.values, expected.values, rtol=0, atol=1e-4)
    assert np.isnan(result.values).sum() == 4  # of one band


def test_a_stopped_run_resumes(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, output = write_scene(tmp_path / "a.tif", 48, 48), tmp_path / "b.tif"
    run, calls = OnnxModel.run_arrays, 0

    def stops(self: OnnxModel, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise InputError("stopped")
        return run(self, *arguments)

    monkeypatch.setattr(OnnxModel, "run_arrays", stops)
    with pytest.raises(InputError, match=r"stopped\. Finished tiles are kept"):
        predict_file(scene, output, exported, tile=24)
    before = calls
    predict_file(scene, output, exported, tile=24)
    assert calls - before < 4
    np.testing.assert_allclose(
        load_scene(output).values, super_resolve(load_scene(scene), exported).values, rtol=0, atol=1e-5
    )


def edited(path: Path, exported: Path, edit: Callable[[onnx.ModelProto], None]) -> Path:
    net = onnx.load(exported)
    edit(net)
    path.write_bytes(net.SerializeToString())
    return path


def facts(change: Callable[[dict[str, Any]], None]) -> Callable[[onnx.ModelProto], None]:
    def edit(net: onnx.ModelProto) -> None:
        (entry,) = (each for each in net.metadata_props if each.key == "finewave.network")
        values = json.loads(entry.value)
        change(values)
        entry.value = json.dumps(values)

    return edit


def no_metadata(net: onnx.ModelProto) -> None:
    del net.metadata_props[:]


def weights_elsewhere(net: onnx.ModelProto) -> None:
    tensor = next(each for each in net.graph.initializer if each.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "../../../../../../etc/hostname"), ("offset", "0"), ("length", "8")):
        tensor.external_data.add(key=key, value=value)


def many_bands(net: onnx.ModelProto) -> None:
    net.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 10**12


def many_rows(net: onnx.ModelProto) -> None:
    net.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 10**12


def long_weights(net: onnx.ModelProto) -> None:
    tensor = next(each for each in net.graph.initializer if each.raw_data)
    tensor.dims[0] = 10**13


BAD: dict[str, tuple[Callable[[onnx.ModelProto], None], str]] = {
    "other program": (no_metadata, "is not a model of finewave"),
    "newer": (facts(lambda values: values.update(version=99)), "another version .format 99. of finewave; export it"),
    "number": (facts(lambda values: values.update(reach="far")), "reach is 'far' in its metadata"),
    "negative": (facts(lambda values: values.update(working_memory=-1)), "working_memory is '-1'"),
    "size": (facts(lambda values: values.update(size=[1, 10**30])), "size is"),
    "lacks": (facts(lambda values: values.pop("multiple")), "multiple is 'None'"),
    "bands": (facts(lambda values: values.update(hs_bands=6)), r"float of shape \(1, 6, height, width\) is expected"),
    "external": (weights_elsewhere, "cannot be run by ONNX Runtime"),
    "bands of the input": (many_bands, "is expected|cannot be run by ONNX Runtime"),
    "rows of the input": (many_rows, "cannot be run"),
    "weights": (long_weights, "cannot be run by ONNX Runtime"),
}


@pytest.mark.parametrize("kind", BAD)
def test_files_that_are_refused(kind: str, exported: Path, tmp_path: Path) -> None:
    edit, message = BAD[kind]
    path = edited(tmp_path / "net.onnx", exported, edit)
    with pytest.raises(InputError, match=message) as caught:
        super_resolve(scene_of(20, 20), path)
    assert "\n" not in str(caught.value)


def test_other_contents_are_refused(exported: Path, weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    for content in (b"", b"not a network", exported.read_bytes()[:1000]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"cannot be run by ONNX Runtime|is not a model of finewave"):
            OnnxModel(path)
    with pytest.raises(InputError, match="no such file"):
        OnnxModel(tmp_path / "absent.onnx")


@pytest.mark.slow
def test_files_for_other_programs_are_refused(weights: Path, tmp_path: Path) -> None:
    plugin = export(load_model(weights), tmp_path / "qgis.onnx", target="deepness", size=(16, 16)).path
    with pytest.raises(InputError, match="exported for Deepness"):
        OnnxModel(plugin)


REFUSED: dict[str, Any] = {
    "anchors": "spots.csv",
    "cluster": "tcp://127.0.0.1:1",
    "consistent": True,
    "device": "cpu",
    "guide": "a.tif",
    "kernel": "bicubic",
    "pooling": "image",
    "precision": "bfloat16",
    "quality": True,
    "scale": 2,
    "self_ensemble": True,
    "sensor": "sentinel2a",
    "spectra": "a.tif",
    "spread": True,
    "uncertainty": True,
    "workers": 2,
}
"""Options of a prediction that an exported model cannot honour, with a value of each."""
HONOURED = {
    "band_axis",
    "bands",
    "bbox",
    "clip",
    "dtype",
    "engine",
    "eopf",
    "full_scale",
    "guide_full_scale",
    "guide_variable",
    "halo",
    "interleave",
    "mask_clouds",
    "memory",
    "nodata",
    "orthorectify",
    "output_full_scale",
    "overwrite",
    "resolution",
    "restart",
    "stac",
    "suffix",
    "tile",
    "variable",
    "wavelengths",
    "window",
}
"""Those that are about files and tiles."""


def test_no_option_is_ignored(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a file's network cannot do is refused in a line, before any work."""
    assert set(REFUSED) | HONOURED == {field.name for field in fields(PredictOptions)}
    scene = write_scene(tmp_path / "a.tif", 20, 20)
    monkeypatch.chdir(tmp_path)
    for option, value in REFUSED.items():
        with pytest.raises(InputError, match=f"{option.replace('_', '-')}|{option}=") as caught:
            predict_file(scene, tmp_path / "b.tif", exported, **{option: value})
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "b.tif").exists()
    with pytest.raises(InputError, match="unknown pooling 'windows'"):
        super_resolve(scene_of(20, 20), exported, pooling="windows")
    with pytest.raises(InputError, match="takes images of 9 x 9 or larger"):
        super_resolve(scene_of(8, 20), exported)


def test_means_are_those_of_the_file(exported: Path, weights: Path) -> None:
    """Unless others are asked for, which is refused; without poolings there is nothing to refuse."""
    model = OnnxModel(exported)
    assert model.with_pooling("local").tile_pooling == "local"
    with pytest.raises(
        InputError, match=r"tiny\.onnx was exported with --pooling local, not image: leave out --pooling"
    ):
        model.with_pooling("image")
    model._facts["pooling"] = model.pooling = "image"
    assert model.tile_pooling == "image"
    model._facts["n_global_poolings"] = 0
    assert model.with_pooling("local") is model


@pytest.mark.slow
def test_a_file_for_one_size_takes_that_alone(weights: Path, tmp_path: Path) -> None:
    path = export(load_model(weights, precision="float32"), tmp_path / "net.onnx", size=(12, 14)).path
    assert super_resolve(scene_of(12, 14), path).shape == (5, 24, 28)
    with pytest.raises(InputError, match="exported for 12 x 14 alone: export it without --size"):
        super_resolve(scene_of(14, 14), path)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", ["sentinel2-enmap", "mstpp-cave", "sspsr-cave-x4"])
def test_shipped_models_have_the_same_numbers(name: str, tmp_path: Path) -> None:
    """In tiles, with the poolings and halos of `finewave predict`."""
    model = load_model(name, precision="float32").with_pooling("local")
    path = export(model, tmp_path / "net.onnx").path
    bands = model.bands_of(model.inputs[0])
    assert model.card is not None
    centres = model.card.ms_wavelengths_nm if model.inputs[0].endswith("msi") else model.card.wavelengths_nm
    values = np.random.default_rng(3).random((bands or 1, 70, 83), np.float32)
    scene = make_scene(values, centres)
    options: dict[str, Any] = {"tile": 40, "halo": 32}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FinewaveWarning)  # about tiles that are not exact, and pixels unlike training
        expected, result = (super_resolve(scene, each, **options).values for each in (model, path))
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-4)


TRAINING = ("omegaconf>", "safetensors>", "torch>")
"""Of networks in PyTorch and their recipes."""


def test_requirements_are_those_of_finewave() -> None:
    whole, run = (
        tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for folder in (".", "packages/run")
    )
    parts = {*run["dependencies"], *run["optional-dependencies"]["formats"]}
    assert {each for each in whole["dependencies"] if not each.startswith(TRAINING)} == parts - {"onnxruntime>=1.20"}
    assert len(run["optional-dependencies"]["formats"]) == len(OF_FORMATS)


FEW = f"""
import importlib.machinery, sys

class WithoutSome(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in {("onnx", "onnxscript", *OF_NETWORKS, *OF_FORMATS)}:
            return None
        return super().find_spec(name, path, target)

sys.meta_path = [WithoutSome if each is importlib.machinery.PathFinder else each for each in sys.meta_path]
from finewave.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("suffix", [".tif", ".img"])
def test_geotiff_and_envi_need_no_package_of_other_formats(suffix: str, exported: Path, tmp_path: Path) -> None:
    """In tiles, with missing pixels; other formats are refused before any work, as one says what they need."""
    scene = scene_of(21, 34, **PLACE)
    scene[1, 3:9, 4] = np.nan
    save_scene(scene, tmp_path / f"a{suffix}")
    save_scene(scene, tmp_path / "a.nc")
    command = [sys.executable, "-c", FEW, "predict", "--model", str(exported)]
    options = {"capture_output": True, "text": True, "check": False, "cwd": tmp_path}
    source = f"a{suffix}"
    done: Any = subprocess.run([*command, source, "-o", f"b{suffix}", "--tile", "16", "--halo", "exact"], **options)
    assert done.returncode == 0, done.stderr
    expected = super_resolve(load_scene(tmp_path / source), exported)
    result = load_scene(tmp_path / f"b{suffix}")
    np.testing.assert_allclose(result.values, expected.values, rtol=0, atol=1e-5)
    assert (scene_crs(result), scene_transform(result)) == (scene_crs(expected), scene_transform(expected))
    for names in (("a.nc", "-o", "c.tif"), (source, "-o", "c.zarr")):
        done = subprocess.run([*command, *names], **options)
        assert done.returncode == 2
        assert (
            "finewave-run reads and writes GeoTIFF and ENVI alone; pip install './packages/run[formats]'" in done.stderr
        )
        assert done.stderr.count("\n") == 1


def test_models_by_name_need_pytorch(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "a.tif", 20, 20)
    done = without_pytorch("predict", scene, "-o", tmp_path / "b.tif", "--model", "mstpp-cave")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "needs the package torch, which is not installed: finewave-run only predicts" in done.stderr
    assert not (tmp_path / "b.tif").exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_installed_without_pytorch(exported: Path, tmp_path: Path) -> None:
    """The package `finewave-run` in an environment of its own predicts, and has no PyTorch."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env/bin/python"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    wheel = [python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", ROOT / "packages/run"]
    subprocess.run(wheel, check=True, env=environment)
    scene = write_scene(tmp_path / "a.tif", 40, 30)
    command = [tmp_path / "env/bin/finewave", "predict", scene, "-o", tmp_path / "b.tif", "--model", exported]
    subprocess.run(command, check=True, env=environment)
    result = load_scene(tmp_path / "b.tif")
    np.testing.assert_allclose(result.values, super_resolve(load_scene(scene), exported).values, rtol=0, atol=1e-5)
    absent = subprocess.run([python, "-c", "import torch"], capture_output=True, env=environment, check=False)
    assert b"No module named 'torch'" in absent.stderr
    by_name = [tmp_path / "env/bin/finewave", "predict", scene, "-o", tmp_path / "c.tif", "--model", "mstpp-cave"]
    done = subprocess.run(by_name, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2
    assert "needs the package torch, which is not installed: finewave-run" in done.stderr
    assert done.stderr.count("\n") == 1
