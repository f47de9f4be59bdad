"""The data sets of the data folder, in full."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from finewave.datasets.published_files import read_compact
from finewave.datasets.registry import PublishedScenes, get_dataset, open_dataset, prepare, published_folder
from finewave.datasets.store import Store
from finewave.evaluation.evaluator import baseline_for, evaluate_model
from finewave.warnings import FinewaveWarning

pytestmark = pytest.mark.data


@pytest.fixture(autouse=True)
def folders(real_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data folder as it is, and nothing prepared."""
    monkeypatch.setenv("FINEWAVE_DATA", str(real_images.resolve()))
    monkeypatch.setenv("FINEWAVE_PREPARED", str(tmp_path / "prepared"))


@pytest.mark.parametrize("name", ["vnir100", "aviris", "paris"])
def test_the_store_and_the_files_say_the_same(name: str) -> None:
    store = open_dataset(name)
    dataset = get_dataset(name)
    published = PublishedScenes(dataset, published_folder(dataset))
    assert store.names == sorted(dataset.scenes)
    for scene in store.names:
        np.testing.assert_array_equal(store.read(scene), published.read(scene))
        assert store.full_scale(scene) == published.full_scale(scene)
        values = store.read(scene) / store.full_scale(scene)
        assert values.min() > -0.05
        assert values.max() <= (1.3 if name == "paris" else 1)  # Paris is stored as reflectance
        for companion in store.companions:
            np.testing.assert_array_equal(store.read(scene, companion), published.read(scene, companion))
    assert prepare(name, published_folder(dataset)) == store.path


def test_the_split_of_vnir100_is_that_of_the_data_folder(real_images: Path) -> None:
    told = json.loads((real_images / "splits.json").read_text())["vnir100"]
    dataset = get_dataset("vnir100")
    for part in ("train", "val", "test"):
        regions = [dataset.regions.get(name) for name in dataset.split[part]]
        ours = [
            (f"remote/{region.image}.npz", [*region.rows], [*region.columns])
            if region
            else ("remote/samson.npz", [0, 95], [0, 95])
            for region in regions
        ]
        assert ours == [(each["file"], each["rows"], each["cols"]) for each in told[part]]


def test_vnir100_is_interpolated(real_images: Path) -> None:
    cube, wavelengths = read_compact(real_images / "remote" / "reno.npz")
    store = open_dataset("vnir100")
    grid = np.linspace(430, 860, 100)
    np.testing.assert_array_equal(store.wavelengths, grid)
    expected = np.interp(grid, wavelengths, cube[:, 70 + 5, 100 + 7])
    np.testing.assert_allclose(store.read("reno_test")[:, 5, 7], expected, rtol=1e-6)


def test_the_channels_of_aviris_line_up() -> None:
    """Oxygen's absorption at 761 nm is at one index in all radiance scenes but Gulfport, which is one off."""
    store = open_dataset("aviris")
    at = {}
    for name in ("los_angeles_1", "cat_island", "salinas_a", "indian_pines_subset", "gulfport"):
        mean = store.read(name).mean((1, 2))
        dip = mean[1:-1] / (mean[:-2] + mean[2:])
        at[name] = int(np.argmin(dip[:50]))
    common = at.pop("los_angeles_1")
    assert at == {"cat_island": common, "salinas_a": common, "indian_pines_subset": common, "gulfport": common + 1}


def test_a_baseline_on_the_airborne_pool() -> None:
    """What a quadratic map of four bands makes of the validation scene; read straight from the files."""
    scores = evaluate_model(baseline_for("quadratic", "vnir100"), "vnir100", "val")
    assert list(scores["images"]) == ["reno_val"]
    assert scores["protocol"]["sensor"] == "ikonos"
    assert scores["mean"]["psnr"] > 40
    assert scores["mean"]["sam"] < 2


@pytest.mark.slow
def test_cave_in_full(tmp_path: Path) -> None:
    with pytest.warns(FinewaveWarning, match="lacks 6 test scenes"):
        store = Store(prepare("cave", published_folder(get_dataset("cave"))))
    assert len(store.names) == 26
    assert all(store.read(name).shape == (31, 512, 512) for name in store.names)
