"""NumPy's numbers are accepted wherever Python's are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import finewave as fw
from finewave.inference.options import PredictOptions
from finewave.inference.predict import predict_file
from finewave.scene import make_scene
from finewave.text.plain_numbers import as_plain, signed


def test_what_becomes_plain() -> None:
    found = as_plain([np.int64(3), (np.float32(0.5), np.str_("x")), np.array([1, 2])])
    assert found == [3, (0.5, "x"), [1, 2]]
    assert [type(each) for each in (found[0], found[1][0], found[1][1])] == [int, float, str]
    name = object()
    assert as_plain(name) is name


@pytest.fixture
def scene() -> Any:
    values = np.random.default_rng(0).random((3, 24, 24)).astype(np.float32)
    place = {"crs": "EPSG:32632", "transform": np.array([10, 0, 5e5, 0, -10, 5e6])}
    return make_scene(values, wavelengths=np.array([490, 560, 665]), **place)


@pytest.mark.parametrize(
    "options",
    [
        {"tile": np.int64(16), "halo": np.int32(4), "workers": None},
        {"window": np.array([0, 0, 16, 16])},
        {"bbox": np.array([5e5, 5e6 - 160, 5e5 + 160, 5e6])},
        {"bands": np.array([490, 665]), "clip": np.array([0, 1])},
        {"output_full_scale": np.float32(1e4), "nodata": np.uint16(0), "dtype": "uint16"},
    ],
)
def test_predictions(options: dict[str, Any], scene: Any, tmp_path: Path) -> None:
    fw.save_scene(scene, tmp_path / "in.tif", dtype=np.uint16, full_scale=np.int64(10000), nodata=np.int32(0))
    plain = {key: as_plain(value) for key, value in options.items()}
    predict_file(tmp_path / "in.tif", tmp_path / "a.tif", "bicubic", scale=np.int64(2), **options)
    predict_file(tmp_path / "in.tif", tmp_path / "b.tif", "bicubic", scale=2, **plain)
    np.testing.assert_array_equal(fw.open_scene(tmp_path / "a.tif").values, fw.open_scene(tmp_path / "b.tif").values)


def test_options_out_of_range_are_still_refused() -> None:
    with pytest.raises(fw.InputError, match="tile=0 is out of range"):
        PredictOptions(tile=np.int64(0))
    with pytest.raises(fw.InputError, match=r"workers=1\.5 is out of range"):
        PredictOptions(workers=np.float64(1.5))
    with pytest.raises(fw.InputError, match="halo=True"):
        PredictOptions(halo=np.True_)


def test_networks_and_files(scene: Any, tmp_path: Path) -> None:
    net = fw.create_model("sspsr", scale=np.int64(2), hs_bands=np.int32(3))
    assert type(net.config["scale"]) is int
    fw.save_scene(scene, tmp_path / "a.zarr", zarr_format=np.int64(3))
    again = fw.open_scene(tmp_path / "a.zarr", chunks=np.int64(8), full_scale=np.float64(2))
    np.testing.assert_allclose(again.values, scene.values / 2)


def test_a_difference_of_nothing_has_no_minus() -> None:
    assert [signed(each, 2) for each in (-0.004, 0.0, -0.0, -0.006, 1.5)] == [
        "+0.00",
        "+0.00",
        "+0.00",
        "-0.01",
        "+1.50",
    ]
