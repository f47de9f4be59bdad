"""Scenes of your own cut into blocks: what is stored, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import finewave as fw
from finewave.datasets.block_split import BlockSplit, measured_bands, split_blocks
from finewave.datasets.patches import Crops, load_scenes
from finewave.datasets.registry import get_dataset
from finewave.scene import make_scene

WAVELENGTHS = np.linspace(450.0, 850.0, 5)
OPTIONS = BlockSplit(scale=2, crop=8)


def save(path: Path, values: np.ndarray, wavelengths: np.ndarray | None = WAVELENGTHS) -> Path:
    fw.save_scene(make_scene(values.astype(np.float32), wavelengths=wavelengths), path)
    return path


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).random((5, 64, 40), dtype=np.float32)


def test_blocks_are_parts_of_the_scene(tmp_path: Path, values: np.ndarray) -> None:
    path = save(tmp_path / "my scene.tif", values)
    store = split_blocks([path], tmp_path / "run" / "scenes.zarr", OPTIONS)
    assert store.attributes["split"] == {"train": ["my-scene_train1"], "val": ["my-scene_val"], "test": []}
    for name, region in store.attributes["regions"].items():
        rows, columns = slice(*region["rows"]), slice(*region["columns"])
        np.testing.assert_array_equal(store.read(name), values[:, rows, columns])
    np.testing.assert_array_equal(store.wavelengths, WAVELENGTHS)
    described = get_dataset("own-my-scene", store.path)
    assert described.split == store.attributes["split"]


def test_the_same_again_is_left_as_it_is_and_another_refused(tmp_path: Path, values: np.ndarray) -> None:
    path, destination = save(tmp_path / "a.tif", values), tmp_path / "run" / "scenes.zarr"
    split_blocks([path], destination, OPTIONS)
    before = (destination / "zarr.json").stat().st_mtime_ns
    split_blocks([path], destination, OPTIONS)
    assert (destination / "zarr.json").stat().st_mtime_ns == before
    with pytest.raises(fw.InputError, match="holds a fit of other scenes"):
        split_blocks([path], destination, BlockSplit(scale=4, crop=8))
    save(path, values / 2)
    with pytest.raises(fw.InputError, match="holds a fit of other scenes"):
        split_blocks([path], destination, OPTIONS)


def test_pixels_without_values_neither_train_nor_validate(tmp_path: Path, values: np.ndarray) -> None:
    values[2, 20:24, 10:13] = np.nan
    values[:, :, 38:] = np.nan
    store = split_blocks([save(tmp_path / "holes.tif", values)], tmp_path / "run" / "scenes.zarr", OPTIONS)
    assert len(store.attributes["split"]["train"]) > 1
    assert all(np.isfinite(store.read(name)).all() for name in store.names)


@pytest.mark.parametrize("garbage", [50.0, np.nan])
def test_a_band_flagged_bad_does_not_stop_anything(tmp_path: Path, values: np.ndarray, garbage: float) -> None:
    values[1] = garbage
    scene = make_scene(values, wavelengths=WAVELENGTHS, good_bands=[True, False, True, True, True])
    fw.save_scene(scene, tmp_path / "flagged.nc")
    store = split_blocks([tmp_path / "flagged.nc"], tmp_path / "run" / "scenes.zarr", OPTIONS)
    np.testing.assert_array_equal(store.wavelengths, np.delete(WAVELENGTHS, 1))


def test_a_band_without_any_value_is_named_and_left_out(tmp_path: Path, values: np.ndarray) -> None:
    values[3] = np.nan
    path = save(tmp_path / "empty.nc", values)
    with pytest.warns(fw.FinewaveWarning, match=r"left out band 4 \(750 nm\), without a value in any pixel"):
        store = split_blocks([path], tmp_path / "run" / "scenes.zarr", OPTIONS)
    np.testing.assert_array_equal(store.wavelengths, np.delete(WAVELENGTHS, 3))
    assert all(np.isfinite(store.read(name)).all() for name in store.names)


@pytest.mark.cases
@pytest.mark.filterwarnings("ignore::finewave.warnings.FinewaveWarning")
@pytest.mark.parametrize("name", ["garbage_flagged", "nan_unflagged"])
def test_flagged_and_empty_bands_of_the_cases(cases: Path, tmp_path: Path, name: str) -> None:
    scene = cases / "C5_flagged_band_stops_fit" / f"{name}.nc"
    store = split_blocks([scene], tmp_path / "run" / "scenes.zarr", OPTIONS)
    assert len(store.wavelengths) == 30
    assert 600 not in store.wavelengths


def test_crops_of_larger_blocks_are_more_frequent(tmp_path: Path, values: np.ndarray) -> None:
    values[:, 20:24, 10:13] = np.nan
    store = split_blocks([save(tmp_path / "holes.tif", values)], tmp_path / "run" / "scenes.zarr", OPTIONS)
    scenes = load_scenes(store, store.attributes["split"]["train"], 2, {})
    crops = Crops(scenes, np.full((1, 5), 0.2), scale=2, crop=8, batch_size=1, sampling="area")
    places = [np.prod([n - 3 for n in scene.lr_hsi.shape[1:]]) for scene in scenes]
    np.testing.assert_allclose(crops.shares, np.array(places) / sum(places))
    assert crops.batch(0)["lr_msi"].shape == (1, 1, 4, 4)


def test_measured_images_are_cut_with_their_scene(tmp_path: Path, values: np.ndarray) -> None:
    """Rows and columns as colours: each measured pixel stays with its spectrum, whichever way a crop is turned."""
    y, x = np.mgrid[:64, :40] / 100
    values[0], values[1] = y, x
    pair = save(tmp_path / "msi.tif", np.stack([y, x]), None)
    store = split_blocks([save(tmp_path / "a.tif", values)], tmp_path / "run" / "scenes.zarr", OPTIONS, [pair])
    assert measured_bands(store, "msi") == (["band 1", "band 2"], None)
    scenes = load_scenes(store, store.attributes["split"]["train"], 2, {"kernel": "gaussian"}, "msi")
    batch = Crops(scenes, np.empty(0), scale=2, crop=8, batch_size=8, mix=0.5, gain=(0.5, 2)).batch(0)
    np.testing.assert_allclose(batch["hr_msi"], batch["hr_hsi"][:, :2], rtol=1e-5)
    np.testing.assert_allclose(batch["lr_msi"], batch["lr_hsi"][:, :2], rtol=1e-5)
    whole = scenes[0].whole(np.empty(0))
    np.testing.assert_allclose(whole["hr_msi"], whole["hr_hsi"][:, :2])


def test_several_processes_share_the_stream(tmp_path: Path, values: np.ndarray) -> None:
    store = split_blocks([save(tmp_path / "a.tif", values)], tmp_path / "run" / "scenes.zarr", OPTIONS)
    scenes = load_scenes(store, store.attributes["split"]["train"], 2, {})

    def stream(rank: int, world: int, steps: int) -> list[float]:
        crops = Crops(scenes, np.full((1, 5), 0.2), scale=2, crop=8, batch_size=1, steps=steps)
        crops.share(rank, world)
        return [float(batch["hr_hsi"].sum()) for batch in crops]

    alone = stream(0, 1, 6)
    assert stream(0, 2, 3) == alone[::2]
    assert stream(1, 2, 3) == alone[1::2]


def test_scenes_that_do_not_go_together_are_refused(tmp_path: Path, values: np.ndarray) -> None:
    destination = tmp_path / "run" / "scenes.zarr"
    first = save(tmp_path / "a.tif", values)
    (tmp_path / "b").mkdir()

    def refuse(message: str, scenes: list[Path], msi: tuple[Path, ...] = ()) -> None:
        with pytest.raises(fw.InputError, match=message):
            split_blocks(scenes, destination, OPTIONS, msi)
        assert not destination.exists()

    refuse("no scene was given", [])
    refuse(r"no such file: .*nowhere.tif", [tmp_path / "nowhere.tif"])
    refuse("two scenes are called 'a'", [first, save(tmp_path / "b" / "a.tif", values)])
    refuse("'fewer' has 4 bands, 'a' has 5", [first, save(tmp_path / "fewer.tif", values[:4], WAVELENGTHS[:4])])
    refuse("other wavelengths", [first, save(tmp_path / "shifted.tif", values, WAVELENGTHS + 5)])
    refuse("'bare' does not say its wavelengths", [save(tmp_path / "bare.tif", values, None)])
    refuse("too small for a validation block at scale 2", [save(tmp_path / "tiny.tif", values[:, :20, :20])])
    refuse("say which stored number represents 1.0 with --full-scale", [save(tmp_path / "counts.tif", 9000 * values)])
    refuse("1 multispectral images for 2 scenes", [first, save(tmp_path / "c.tif", values)], (first,))
    refuse(r"b.tif has 63 x 40 pixels, its scene a has 64 x 40", [first], (save(tmp_path / "b.tif", values[:, 1:]),))
