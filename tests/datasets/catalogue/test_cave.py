from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

import finewave as fw
from finewave.datasets import store as stores
from finewave.datasets.catalogue import cave
from finewave.datasets.registry import open_dataset, open_scenes, prepare
from finewave.datasets.store import Store
from finewave.warnings import FinewaveWarning


@pytest.fixture(autouse=True)
def small_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layout of the database with small images and few scenes."""
    few = {"train": ("cd", "watercolors"), "val": ("beads",), "test": ("face",)}
    monkeypatch.setitem(cave.DATASETS, "cave", replace(cave.DATASETS["cave"], size=(12, 12), split=few))


def write_scene(root: Path, name: str, nested: bool = True, eight_bit: bool = False) -> np.ndarray:
    cube = np.random.default_rng(len(name)).integers(0, 256 if eight_bit else 65536, (31, 12, 12))
    folder = root / f"{name}_ms"
    folder = folder / folder.name if nested else folder
    folder.mkdir(parents=True)
    for i, band in enumerate(cube, 1):
        if eight_bit:
            alpha = np.full_like(band, 255)
            image = np.stack([band, band, band, alpha], -1).astype(np.uint8)
        else:
            image = band.astype(np.uint16)
        iio.imwrite(folder / f"{name}_ms_{i:02d}.png", image)
    return cube * 257 if eight_bit else cube


@pytest.fixture
def published(tmp_path: Path) -> Path:
    root = tmp_path / "complete_ms_data"
    for name in ("cd", "beads", "face"):
        write_scene(root, name, nested=name != "beads")
    write_scene(root, "watercolors", eight_bit=True)
    return tmp_path


def test_the_published_layout_is_read_whole(published: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store = Store(prepare("cave", published, tmp_path / "out" / "cave.zarr"))
    assert store.names == ["beads", "cd", "face", "watercolors"]
    assert store.attributes["split"] == {"train": ["cd", "watercolors"], "val": ["beads"], "test": ["face"]}
    np.testing.assert_array_equal(store.wavelengths, np.arange(400, 701, 10))
    expected = np.random.default_rng(2).integers(0, 65536, (31, 12, 12))
    np.testing.assert_array_equal(store.read("cd"), expected)
    eight_bit = np.random.default_rng(len("watercolors")).integers(0, 256, (31, 12, 12)) * 257
    np.testing.assert_array_equal(store.read("watercolors"), eight_bit)
    assert store.read("watercolors").max() <= 65535


def test_missing_test_scenes_are_a_warning(published: Path, tmp_path: Path) -> None:
    for path in (published / "complete_ms_data" / "face_ms" / "face_ms").iterdir():
        path.unlink()
    (published / "complete_ms_data" / "face_ms" / "face_ms").rmdir()
    (published / "complete_ms_data" / "face_ms").rmdir()
    with pytest.warns(FinewaveWarning, match=r"lacks 1 test scenes \(face\)"):
        store = Store(prepare("cave", published, tmp_path / "cave.zarr"))
    assert "face" not in store


def spoil_missing_band(folder: Path) -> None:
    (folder / "cd_ms_07.png").unlink()


def spoil_truncated(folder: Path) -> None:
    path = folder / "cd_ms_07.png"
    path.write_bytes(path.read_bytes()[:60])


def spoil_size(folder: Path) -> None:
    iio.imwrite(folder / "cd_ms_07.png", np.zeros((12, 13), np.uint16))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_missing_band, "scene cd_ms: band 7 is missing"),
        (spoil_truncated, "scene cd_ms: band 7 is damaged"),
        (spoil_size, r"scene cd_ms: band 7 is uint16 \(12, 13\)"),
    ],
)
def test_a_bad_band_is_named_and_nothing_is_left(published: Path, tmp_path: Path, spoil, message: str) -> None:
    spoil(published / "complete_ms_data" / "cd_ms" / "cd_ms")
    target = tmp_path / "out" / "cave.zarr"
    with pytest.raises(fw.InputError, match=message):
        prepare("cave", published, target)
    assert not list(target.parent.iterdir())


def test_a_missing_scene_is_named(published: Path, tmp_path: Path) -> None:
    (published / "complete_ms_data" / "cd_ms").rename(tmp_path / "elsewhere")
    with pytest.raises(fw.InputError, match="missing train: cd"):
        prepare("cave", published, tmp_path / "cave.zarr")


def test_a_scene_twice_is_refused(published: Path, tmp_path: Path) -> None:
    np.savez(published / "complete_ms_data" / "cd_ms.npz", k=0)
    with pytest.raises(fw.InputError, match="'cd' is there twice"):
        prepare("cave", published, tmp_path / "cave.zarr")


def test_a_full_disk_leaves_the_old_store(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = prepare("cave", published, tmp_path / "out" / "cave.zarr")

    def full(root: object, name: str, values: np.ndarray) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stores, "_write", full)
    changed = published / "complete_ms_data" / "cd_ms" / "cd_ms" / "cd_ms_07.png"
    iio.imwrite(changed, np.zeros((12, 12), np.uint16))
    with pytest.raises(fw.InputError, match="the disk is full"):
        prepare("cave", published, target)
    assert Store(target).names == ["beads", "cd", "face", "watercolors"]
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("folder", ["empty", "absent"])
def test_a_folder_without_scenes(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(fw.InputError, match="CAVE scene"):
        prepare("cave", tmp_path / folder, tmp_path / "cave.zarr")


def test_an_unprepared_dataset_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINEWAVE_PREPARED", str(tmp_path / "prepared"))
    monkeypatch.setenv("FINEWAVE_DATA", str(tmp_path / "nothing"))
    with pytest.raises(fw.InputError, match="finewave data prepare cave --from FOLDER"):
        open_dataset("cave")


def test_an_unknown_dataset() -> None:
    with pytest.raises(fw.InputError, match="did you mean 'cave'"):
        open_dataset("cavee")


@pytest.mark.data
def test_the_compact_scenes(real_images: Path) -> None:
    cube = cave.read_scene(real_images / "cave" / "balloons_ms.npz")
    assert cube.shape == (31, 512, 512)
    assert cube.dtype == np.uint16
    assert 0.05 < cube.mean() / 65535 < 0.3


def test_scenes_are_found_in_the_store_or_as_published(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINEWAVE_PREPARED", str(tmp_path / "prepared"))
    monkeypatch.setenv("FINEWAVE_DATA", str(tmp_path / "outside"))
    (tmp_path / "outside").mkdir()
    with pytest.raises(fw.InputError, match="cave lacks face"):
        open_scenes("cave", ["face"])
    (published / "complete_ms_data").rename(tmp_path / "outside" / "cave")
    straight = open_scenes("cave", ["face"])
    prepare("cave", tmp_path / "outside" / "cave")
    stored = open_scenes("cave", ["face"])
    assert isinstance(stored, Store)
    assert not isinstance(straight, Store)
    np.testing.assert_array_equal(stored.read("face"), straight.read("face"))
    assert stored.checksum("face") == straight.checksum("face")


def test_a_store_of_an_older_description_is_a_warning(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = prepare("cave", published, tmp_path / "cave.zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_dataset("cave", target)
    monkeypatch.setitem(cave.DATASETS, "cave", replace(cave.DATASETS["cave"], version=2))
    with pytest.warns(FinewaveWarning, match="prepared by version 1 of cave, which is now at 2"):
        open_dataset("cave", target)
