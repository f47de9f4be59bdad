"""``finewave predict``: files in, files out; and inputs that work with a word of warning."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest

from finewave.io.open_save import load_scene, save_scene
from finewave.scene import make_scene, scene_crs, scene_transform
from tests.cli.command_line import assert_refused, run, warnings_of


def predict(source: Path, output: Path, weights: Path, *options: str) -> list[str]:
    """Run successfully and return the warnings."""
    result = run("predict", source, "-o", output, "--model", weights, *options)
    assert result.exit_code == 0, result.output
    return warnings_of(result)


def test_photograph_to_each_format(photograph: Path, tiny_weights: Path, tmp_path: Path) -> None:
    for name in ("out.tif", "out.nc", "out.mat", "out.h5", "out.zarr", "out.img"):
        warned = predict(photograph, tmp_path / name, tiny_weights)
        scene = load_scene(tmp_path / name)
        assert scene.shape == (31, 12, 14)
        np.testing.assert_allclose(scene.coords["wavelength"], np.arange(400, 701, 10))
        assert any("photograph" in line and "nikon-d5100" in line for line in warned)


def test_georeference_and_bands_by_wavelength(georeferenced: Path, tiny_weights: Path, tmp_path: Path) -> None:
    from finewave.zoo.model import load_model

    predict(georeferenced, tmp_path / "out.tif", tiny_weights)
    result, scene = load_scene(tmp_path / "out.tif"), load_scene(georeferenced)
    assert tuple(scene_transform(result))[:6] == (5.0, 0.0, 500000.0, 0.0, -5.0, 4400000.0)
    assert scene_crs(result) == scene_crs(scene)
    np.testing.assert_allclose(result.x[:2], [500002.5, 500007.5])
    np.testing.assert_allclose(result.y[:2], [4399997.5, 4399992.5])
    import torch

    # the file's bands are blue, green, red; the model's red, green, blue
    model = load_model(tiny_weights).with_pooling("local")
    expected = model.predict(lr_msi=torch.from_numpy(scene.values[::-1].copy())[None])
    np.testing.assert_allclose(result.values, expected[0].numpy(), rtol=1e-5, atol=1e-6)


def test_folder_of_files(photograph: Path, georeferenced: Path, tiny_weights: Path, tmp_path: Path) -> None:
    result = run("predict", tmp_path, "-o", tmp_path / "results", "--model", tiny_weights, "--format", "nc")
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in (tmp_path / "results").iterdir()) == ["photograph.nc", "scene.nc"]
    assert result.stdout.split() == [str(tmp_path / "results" / n) for n in ("photograph.nc", "scene.nc")]


def test_several_files_of_several_folders(
    photograph: Path, georeferenced: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "more").mkdir()
    moved = georeferenced.rename(tmp_path / "more" / georeferenced.name)
    result = run("predict", photograph, moved, "-o", tmp_path / "out", "--model", tiny_weights, "--format", "nc")
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == [str(tmp_path / "out" / n) for n in ("photograph.nc", "scene.nc")]
    predict(moved, tmp_path / "alone.nc", tiny_weights)
    np.testing.assert_array_equal(load_scene(tmp_path / "out" / "scene.nc"), load_scene(tmp_path / "alone.nc"))


def test_several_files_need_a_folder_and_names_of_their_own(
    photograph: Path, georeferenced: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    both = ["predict", photograph, georeferenced, "--model", tiny_weights, "-o"]
    assert_refused(run(*both, tmp_path / "out.tif"), "one file for several scenes", "folder")
    assert_refused(run(*both, tmp_path / "scene.tif" / "out"), "is a file, not a folder")
    assert_refused(run("predict", photograph, photograph, *both[3:], tmp_path / "out"), "would both become")
    assert_refused(run("predict", photograph, tmp_path / "none.png", *both[3:], tmp_path / "out"), "no such file")
    assert_refused(run(*both, tmp_path, "--format", "png"), "png")
    assert not (tmp_path / "out").exists()


def test_file_into_an_existing_folder(photograph: Path, tiny_weights: Path, tmp_path: Path) -> None:
    (tmp_path / "results.v2").mkdir()
    predict(photograph, tmp_path / "results.v2", tiny_weights)
    assert load_scene(tmp_path / "results.v2" / "photograph.tif").shape == (31, 12, 14)


def test_store_is_one_scene_although_a_folder(tiny_weights: Path, tmp_path: Path) -> None:
    save_scene(make_scene(np.full((3, 8, 8), 0.3, np.float32)), tmp_path / "in.zarr")
    predict(tmp_path / "in.zarr", tmp_path / "out.zarr", tiny_weights)
    assert load_scene(tmp_path / "out.zarr").shape == (31, 16, 16)


def test_folder_of_bands_is_one_scene(tiny_weights: Path, tmp_path: Path) -> None:
    (tmp_path / "bands").mkdir()
    for name in ("b1", "b2", "b3"):
        values = np.random.default_rng(0).integers(0, 65535, (6, 7), dtype=np.uint16)
        iio.imwrite(tmp_path / "bands" / f"{name}.png", values)
    predict(tmp_path / "bands", tmp_path / "out.nc", tiny_weights)
    assert load_scene(tmp_path / "out.nc").shape == (31, 12, 14)


def test_folder_leaves_nothing_out_silently(photograph: Path, tiny_weights: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "empty.png").touch()
    result = run("predict", tmp_path, "-o", tmp_path / "results", "--model", tiny_weights)
    assert_refused(result, "1 of 2 files", "empty.png")
    assert any("notes.txt" in line for line in warnings_of(result))
    assert [p.name for p in (tmp_path / "results").iterdir()] == ["photograph.tif"]


def test_folder_with_two_files_of_one_name(photograph: Path, tiny_weights: Path, tmp_path: Path) -> None:
    photograph.with_suffix(".jpg").write_bytes(photograph.read_bytes())
    result = run("predict", tmp_path, "-o", tmp_path / "results", "--model", tiny_weights)
    assert_refused(result, "photograph.jpg", "photograph.png")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_without_value(bad: float, tiny_weights: Path, tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((3, 8, 9), dtype=np.float32)
    values[1, 2, 3] = bad
    save_scene(make_scene(values), tmp_path / "in.nc")
    warned = predict(tmp_path / "in.nc", tmp_path / "out.nc", tiny_weights)
    assert any("1 of 72 pixels" in line for line in warned)
    missing = np.isnan(load_scene(tmp_path / "out.nc").values)
    assert missing[:, 4:6, 6:8].all()
    assert missing.sum() == 31 * 4


def test_integers_without_scale(tiny_weights: Path, tmp_path: Path) -> None:
    import rasterio

    values = np.random.default_rng(0).integers(0, 10000, (3, 8, 9), dtype=np.uint16)
    profile = {"driver": "GTiff", "count": 3, "height": 8, "width": 9, "dtype": "uint16"}
    with rasterio.open(tmp_path / "in.tif", "w", **profile) as file:
        file.write(values)
    warned = predict(tmp_path / "in.tif", tmp_path / "out.nc", tiny_weights)
    assert any("10000" in line for line in warned)
    assert load_scene(tmp_path / "out.nc").shape == (31, 16, 18)


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 9)])
def test_smaller_than_the_window(size: tuple[int, int], tiny_weights: Path, tmp_path: Path) -> None:
    save_scene(make_scene(np.full((3, *size), 0.4, np.float32)), tmp_path / "in.nc")
    warned = predict(tmp_path / "in.nc", tmp_path / "out.nc", tiny_weights)
    assert any("attention window" in line for line in warned)
    scene = load_scene(tmp_path / "out.nc")
    assert scene.shape == (31, 2 * size[0], 2 * size[1])
    assert np.isfinite(scene.values).all()


def test_all_zero(tiny_weights: Path, tmp_path: Path) -> None:
    save_scene(make_scene(np.zeros((3, 8, 8), np.float32)), tmp_path / "in.nc")
    warned = predict(tmp_path / "in.nc", tmp_path / "out.nc", tiny_weights)
    assert any("zero" in line for line in warned)
    assert np.isfinite(load_scene(tmp_path / "out.nc").values).all()


def test_given_wavelengths_and_tiles(tiny_weights: Path, tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((3, 20, 40), dtype=np.float32)
    save_scene(make_scene(values), tmp_path / "in.nc")
    predict(tmp_path / "in.nc", tmp_path / "a.nc", tiny_weights)
    predict(tmp_path / "in.nc", tmp_path / "b.nc", tiny_weights, "--tile", "16", "--wavelengths", "460,540,600")
    a, b = (load_scene(tmp_path / name).values for name in ("a.nc", "b.nc"))
    assert a.shape == b.shape
    assert not np.allclose(a, b, atol=1e-4)  # the bands came in another order


def large(folder: Path) -> Path:
    """Write a scene of six tiles of 16 pixels."""
    values = np.random.default_rng(0).random((3, 20, 40), dtype=np.float32)
    save_scene(make_scene(values, wavelengths=[600.0, 540.0, 460.0]), folder / "in.nc")
    return folder / "in.nc"


def test_stored_numbers_halo_and_pooling(tiny_weights: Path, tmp_path: Path) -> None:
    said = ("--tile", "16", "--halo", "3", "--pooling", "local", "--precision", "float32")
    stored = ("--dtype", "int16", "--output-full-scale", "1000", "--nodata", "-1")
    warned = predict(large(tmp_path), tmp_path / "out.zarr", tiny_weights, *said, *stored)
    assert any("sees 3 around a tile" in line and "root mean square" in line for line in warned)
    encoding = load_scene(tmp_path / "out.zarr").encoding
    assert (encoding["dtype"], encoding["scale_factor"], encoding["_FillValue"]) == ("int16", 1e-3, -1)
    warned = predict(large(tmp_path), tmp_path / "out.tif", tiny_weights, "--tile", "16", "--pooling", "image")
    assert any("looks at the whole image" in line for line in warned)
    result = run("predict", large(tmp_path), "-o", tmp_path / "x.tif", "--model", tiny_weights, "--halo", "wide")
    assert_refused(result, "halo='wide'", "'exact', 'fast' or a number")


def test_how_far_it_is(tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finewave.cli.terminal.progress.QUIET_SECONDS", 0)
    result = run("predict", large(tmp_path), "-o", tmp_path / "out.zarr", "--model", tiny_weights, "--tile", "16")
    lines = [line for line in result.stderr.splitlines() if line.startswith("predict: ")]
    assert [line.partition(",")[0] for line in lines] == [f"predict: {n} of 6" for n in range(7)]
    assert lines[3].endswith(", 1 min left")


def test_unfinished_work_of_another_kind(tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, output = large(tmp_path), tmp_path / "out.tif"
    command = ("predict", source, "-o", output, "--model", tiny_weights, "--tile", "16", "--dtype", "uint16")
    with monkeypatch.context() as patch:
        patch.setattr("finewave.inference.predict_file._save", _after_the_trial())
        assert_refused(run(*command), "the disk is full", "Finished tiles are kept: the same command resumes")
    assert not output.exists()
    refused = run(*command[:-1], "int16")
    assert_refused(refused, "unfinished work of another run", "storage was different", "--restart")
    predict(source, output, tiny_weights, "--tile", "16", "--dtype", "int16", "--restart")
    assert load_scene(output).encoding["dtype"] == "int16"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.nc", "out.tif"]


def _after_the_trial() -> Any:
    """Return a stand-in for saving that fails as on a full disk, but for the pixel that is written beforehand."""
    calls = []

    def save(*args: Any) -> None:
        calls.append(args)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")

    return save


def test_as_a_program(photograph: Path, tiny_weights: Path, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "finewave"]
    good = [
        *program,
        "predict",
        str(photograph),
        "-o",
        str(tmp_path / "out.tif"),
        "--model",
        str(tiny_weights),
    ]
    done = subprocess.run(good, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, str(tmp_path / "out.tif")), done.stderr
    bad = [*program, "predict", "nowhere.png", "-o", str(tmp_path / "out2.tif"), "--model", str(tiny_weights)]
    done = subprocess.run(bad, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: no such file or folder: nowhere.png\n"
    assert iio.imread(photograph).shape == (6, 7, 3)


def test_consistency_spread_and_quality(tiny_weights: Path, tmp_path: Path) -> None:
    options = ("--consistent", "exact", "--self-ensemble", "--spread", "--quality", "--tile", "16", "--halo", "4")
    result = run("predict", large(tmp_path), "-o", tmp_path / "out.tif", "--model", tiny_weights, *options)
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == [str(tmp_path / "out.tif")]
    beside = ["in.nc", "out.quality.json", "out.spread.tif", "out.tif"]
    assert sorted(path.name for path in tmp_path.iterdir()) == beside
    told = json.loads((tmp_path / "out.quality.json").read_text())
    assert told["whole"]["consistency"]["lr_msi"]["largest_difference"] < 1e-3
    assert load_scene(tmp_path / "out.spread.tif").shape == (31, 40, 80)


def test_noise_and_blur_of_a_consistent_result_are_given(tiny_weights: Path, tmp_path: Path) -> None:
    source, damped = large(tmp_path), "--consistent=noise=0.02,doubt=0.3"
    predict(source, tmp_path / "out.tif", tiny_weights, damped, "--quality", "--tile", "16")
    facts = json.loads(load_scene(tmp_path / "out.tif").attrs["consistency"])
    assert facts["inputs"]["lr_msi"]["noise"] == 0.02
    assert facts["inputs"]["lr_msi"]["given"] == ["noise", "doubt"]
    assert json.loads((tmp_path / "out.quality.json").read_text())["consistent"] == facts
    result = run("predict", source, "-o", tmp_path / "x.tif", "--model", tiny_weights, "--consistent", "roughly")
    assert_refused(result, "consistent='roughly' is out of range", "noise=0.01,doubt=0.1")


def test_values_are_cut_where_that_is_asked_for(tiny_weights: Path, tmp_path: Path) -> None:
    source = large(tmp_path)
    predict(source, tmp_path / "plain.nc", tiny_weights)
    warned = predict(source, tmp_path / "cut.nc", tiny_weights, "--clip", "0.2", "0.4")
    plain, cut = (load_scene(tmp_path / name).values for name in ("plain.nc", "cut.nc"))
    assert plain.min() < 0.2
    np.testing.assert_allclose(cut, plain.clip(0.2, 0.4), atol=1e-6)
    assert any(line.endswith("values were cut to 0.2 to 0.4") for line in warned)
    assert_refused(
        run("predict", source, "-o", tmp_path / "x.nc", "--model", tiny_weights, "--clip", "1", "0"), "clip="
    )


def test_a_model_that_does_not_say_how_it_was_trained(tiny_weights: Path, tmp_path: Path) -> None:
    from finewave.zoo.model import load_model

    model = load_model(tiny_weights)
    model.save(tmp_path / "silent", degradation=None)
    for option, purpose in (("--consistent=exact", "a consistent result"), ("--quality", "a quality file")):
        result = run("predict", large(tmp_path), "-o", tmp_path / "out.tif", "--model", tmp_path / "silent", option)
        assert_refused(result, purpose, "does not say degradation")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.nc", "silent"]
