"""Files beside the output: spread and quality; and that work which is stopped goes on with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from finewave.errors import InputError
from finewave.inference.predict import predict_file
from finewave.inference.super_resolve import super_resolve_with_spread
from finewave.inference.tiling.resume import unfinished_folder
from finewave.io.open_save import load_scene
from finewave.scene import scene_crs, scene_transform
from finewave.zoo.model import Model
from tests.inference.test_consistent import OUTPUT_NM, joint, observed
from tests.inference.tiling.test_resume import finished_in, stop_after
from tests.inference.tiny_models import write_scene
from tests.io.scene_helpers import full_disk

ALL: dict[str, Any] = {"consistent": "exact", "spread": True, "quality": True, "tile": 20}


@pytest.fixture(scope="module")
def model() -> Model:
    return joint()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A scene of 2 x 3 tiles."""
    return write_scene(tmp_path / "scene.tif", 30, 45)


def names_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@pytest.mark.parametrize("suffix", [".tif", ".zarr", ".nc", ".img"])
def test_three_files(suffix: str, source: Path, model: Model, tmp_path: Path) -> None:
    output = tmp_path / "out" / f"result.v1{suffix}"
    output.parent.mkdir()
    assert predict_file(source, output, model, **ALL, dtype="int16") == [output]
    data = ["result.v1.hdr", "result.v1.spread.hdr"] if suffix == ".img" else []
    assert names_in(output.parent) == sorted(
        [f"result.v1{suffix}", f"result.v1.spread{suffix}", "result.v1.quality.json", *data]
    )
    result, spread = load_scene(output), load_scene(output.with_name(f"result.v1.spread{suffix}"))
    expected = super_resolve_with_spread(load_scene(source), model, consistent="exact")
    np.testing.assert_allclose(result.values, expected[0].values, atol=1e-4)  # of a scale of 10000
    np.testing.assert_allclose(spread.values, expected[1].values, atol=1e-5)
    assert spread.encoding.get("dtype", "float32") == "float32"
    assert spread.attrs["quantity"] == "standard deviation over eight flips and rotations"
    for scene in (result, spread):
        assert scene_crs(scene).to_epsg() == 32631
        assert tuple(scene_transform(scene))[:6] == (5.0, 0.0, 5e5, 0.0, -5.0, 4e6)
        np.testing.assert_allclose(scene.wavelength, OUTPUT_NM)
    told = json.loads((output.parent / "result.v1.quality.json").read_text())
    assert told["whole"]["consistency"]["lr_msi"]["largest_difference"] < 1e-3
    assert len(told["tiles"]) == 6


def test_the_spread_is_a_cog(source: Path, model: Model, tmp_path: Path) -> None:
    predict_file(source, tmp_path / "out.tif", model, spread=True)
    with rasterio.open(tmp_path / "out.spread.tif") as file:
        assert file.block_shapes[0] == (512, 512)
        assert file.interleaving.value == "BAND"  # tests/io/test_interleave.py has the order
        assert file.dtypes == ("float32",) * len(OUTPUT_NM)
        assert file.tags()["quantity"].startswith("standard deviation")


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_stopped_work_goes_on_with_all_three(suffix: str, source: Path, model: Model, tmp_path: Path) -> None:
    output = tmp_path / f"out{suffix}"
    with pytest.MonkeyPatch.context() as patch:
        stop_after(3, patch)
        with pytest.raises(KeyboardInterrupt):
            predict_file(source, output, model, **ALL)
    folder = unfinished_folder(output)
    assert names_in(tmp_path) == [folder.name, "scene.tif"]
    kept = finished_in(output)
    assert len(kept) == 3
    damaged = min(kept)
    zarr = folder / "spread.zarr" / "scene" / f"0.{damaged // 3}.{damaged % 3}"
    chunk = zarr if suffix == ".zarr" else folder / "spread.tiles" / f"{damaged}.npy"
    chunk.write_bytes(chunk.read_bytes()[:40])
    calls = []
    predict_file(source, output, model, progress=lambda *call: calls.append(call), **ALL)
    assert calls == [(n, 6) for n in range(2, 7)]
    predict_file(source, tmp_path / f"again{suffix}", model, **ALL)
    for name in ("", ".spread"):
        one, other = (load_scene(tmp_path / f"{stem}{name}{suffix}").values for stem in ("out", "again"))
        np.testing.assert_array_equal(one, other)
    assert json.loads((tmp_path / "out.quality.json").read_text()) == json.loads(
        (tmp_path / "again.quality.json").read_text()
    )
    assert not unfinished_folder(output).exists()


def test_one_of_two_stores_has_got_its_name(source: Path, model: Model, tmp_path: Path) -> None:
    """And then the machine goes off: the tiles are made anew, and nothing is left over."""
    output = tmp_path / "out.zarr"
    with pytest.MonkeyPatch.context() as patch:
        stop_after(4, patch)
        with pytest.raises(KeyboardInterrupt):
            predict_file(source, output, model, **ALL)
    (unfinished_folder(output) / "spread.zarr").rename(tmp_path / "out.spread.zarr")
    calls = []
    predict_file(source, output, model, progress=lambda *call: calls.append(call), **ALL)
    assert calls[0] == (0, 6)
    assert np.isfinite(load_scene(tmp_path / "out.spread.zarr").values).all()
    assert names_in(tmp_path) == ["out.quality.json", "out.spread.zarr", "out.zarr", "scene.tif"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"consistent": "exact"}, "halo, consistent were"),
        ({"self_ensemble": True}, "self_ensemble was"),
        ({"spread": True}, "self_ensemble, spread were"),
        ({"clip": (0.0, 1.0)}, "clip was"),
    ],
)
def test_other_options_are_other_work(more: dict, told: str, source: Path, model: Model, tmp_path: Path) -> None:
    output = tmp_path / "out.zarr"
    with pytest.MonkeyPatch.context() as patch:
        stop_after(1, patch)
        with pytest.raises(KeyboardInterrupt):
            predict_file(source, output, model, tile=20)
    with pytest.raises(InputError, match=f"{told} different.*--restart"):
        predict_file(source, output, model, tile=20, **more)


def test_quality_may_be_asked_for_late(source: Path, model: Model, tmp_path: Path) -> None:
    """It is of the values, and changes none."""
    with pytest.MonkeyPatch.context() as patch:
        stop_after(4, patch)
        with pytest.raises(KeyboardInterrupt):
            predict_file(source, tmp_path / "out.tif", model, tile=20)
    calls = []
    predict_file(source, tmp_path / "out.tif", model, tile=20, quality=True, progress=lambda *call: calls.append(call))
    assert calls[0] == (4, 6)
    assert (tmp_path / "out.quality.json").exists()


def test_a_disk_that_is_full_leaves_nothing_under_a_final_name(source: Path, model: Model, tmp_path: Path) -> None:
    with full_disk(2000), pytest.raises(InputError, match="cannot write"):
        predict_file(source, tmp_path / "out.zarr", model, **ALL)
    assert [name for name in names_in(tmp_path) if not name.startswith(".")] == ["scene.tif"]
    predict_file(source, tmp_path / "out.zarr", model, **ALL)
    assert names_in(tmp_path) == ["out.quality.json", "out.spread.zarr", "out.zarr", "scene.tif"]


def test_names_that_something_else_has(source: Path, model: Model, tmp_path: Path) -> None:
    (tmp_path / "out.spread.tif").mkdir()
    (tmp_path / "out.quality.json").mkdir()
    with pytest.raises(InputError, match=r"out\.spread\.tif: it is a folder"):
        predict_file(source, tmp_path / "out.tif", model, spread=True)
    with pytest.raises(InputError, match=r"out\.quality\.json: it is a folder"):
        predict_file(source, tmp_path / "out.tif", model, quality=True)
    predict_file(source, tmp_path / "out.tif", model)


def test_scenes_whose_names_would_collide(model: Model, tmp_path: Path) -> None:
    (tmp_path / "scenes").mkdir()
    for name in ("a.tif", "a.spread.tif"):
        write_scene(tmp_path / "scenes" / name, 5, 6)
    with pytest.raises(InputError, match=r"a\.spread\.tif would go beside a\.tif and a result by itself"):
        predict_file(tmp_path / "scenes", tmp_path / "results", model, spread=True)
    assert not (tmp_path / "results").exists()
    assert len(predict_file(tmp_path / "scenes", tmp_path / "results", model, quality=True)) == 2
    assert len(names_in(tmp_path / "results")) == 4


def test_a_result_that_is_stored_in_integers_is_consistent_to_their_step(
    source: Path, model: Model, tmp_path: Path
) -> None:
    predict_file(source, tmp_path / "out.tif", model, consistent="exact", dtype="int16", output_full_scale=1000)
    difference = np.abs(observed(load_scene(tmp_path / "out.tif")) - load_scene(source).values)
    assert 1e-5 < difference.max() < 0.5e-3
