"""Folders of one's own."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest

import finewave as fw
from finewave.datasets.base import DownloadableFile
from finewave.datasets.custom import (
    DESCRIPTION,
    CustomDatasetOptions,
    default_split,
    find_scenes,
    from_folder,
    remote_files,
)
from finewave.datasets.published_files import files_of
from finewave.datasets.registry import describe_folder, get_dataset, list_datasets, open_scenes, prepare
from finewave.datasets.store import Store
from finewave.scene import make_scene

WAVELENGTHS = np.linspace(450.0, 850.0, 5)


@pytest.fixture(autouse=True)
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where prepared data sets go."""
    monkeypatch.setenv("FINEWAVE_PREPARED", str(tmp_path / "prepared"))
    monkeypatch.setenv("FINEWAVE_DATA", str(tmp_path / "nothing"))
    return tmp_path / "prepared"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three scenes in three formats; the seed is the name's length."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    for file in ("a.tif", "bb.nc", "ccc.hdr"):
        save(folder / file)
    return folder


def values(name: str, bands: int = 5, size: tuple[int, int] = (8, 9)) -> np.ndarray:
    return np.random.default_rng(len(name)).random((bands, *size), dtype=np.float32)


def save(
    path: Path, cube: np.ndarray | None = None, wavelengths: np.ndarray | None = WAVELENGTHS, **more: object
) -> None:
    fw.save_scene(make_scene(values(path.stem) if cube is None else cube, wavelengths=wavelengths, **more), path)


def test_a_folder_becomes_a_data_set_by_its_name(folder: Path, prepared: Path) -> None:
    described = describe_folder("my-lake", folder, CustomDatasetOptions(sensor="ikonos"))
    store = Store(prepare(described, folder))
    assert store.path == prepared / "my-lake.zarr"
    for name in ("a", "bb", "ccc"):
        np.testing.assert_array_equal(store.read(name), values(name))
        assert store.full_scale(name) == 1
    np.testing.assert_allclose(store.wavelengths, WAVELENGTHS)
    assert "my-lake" in list_datasets()
    again = get_dataset("my-lake")
    assert (again.sensor, again.split, again.title) == ("ikonos", store.attributes["split"], "3 scenes of scenes")
    assert "bb" in open_scenes("my-lake", ["bb"])
    with pytest.raises(fw.InputError, match="data set of your own; prepare it again"):
        prepare("my-lake", folder)
    assert prepare(describe_folder("my-lake", folder), folder) == store.path  # known by now


@pytest.mark.parametrize("other", ["radiance", None])
def test_what_the_scenes_hold_is_kept_where_all_hold_the_same(tmp_path: Path, other: str | None) -> None:
    """So that a model fitted to radiance is not called one of reflectance."""
    folder = tmp_path / "radiance"
    folder.mkdir()
    for name, quantity in (("a.tif", "radiance"), ("bb.nc", "radiance"), ("ccc.tif", other)):
        scene = make_scene(values(name), wavelengths=WAVELENGTHS)
        fw.save_scene(scene.assign_attrs({"quantity": quantity} if quantity else {}), folder / name)
    described = describe_folder("glow", folder, CustomDatasetOptions(sensor="ikonos"))
    assert described.quantity == other
    prepare(described, folder)
    assert get_dataset("glow").quantity == other


def test_other_values_under_the_same_header_are_noticed(folder: Path) -> None:
    described = from_folder("mine", folder)
    prepare(described, folder)
    cube = values("ccc")[:, ::-1]
    save(folder / "ccc.hdr", np.ascontiguousarray(cube))
    np.testing.assert_array_equal(Store(prepare(described, folder)).read("ccc"), cube)


def test_an_envi_image_is_one_scene_however_its_header_is_called(folder: Path) -> None:
    (data,) = (path for path in folder.glob("ccc*") if path.suffix != ".hdr")
    data.rename(folder / "ccc.img")
    (folder / "ccc.hdr").rename(folder / "ccc.img.hdr")
    assert sorted(find_scenes(folder)) == ["a", "bb", "ccc.img"]
    assert files_of(folder / "ccc.img.hdr") == [folder / "ccc.img", folder / "ccc.img.hdr"]


def test_scenes_may_differ_in_size(folder: Path) -> None:
    save(folder / "a.tif", values("a", size=(20, 6)))
    assert Store(prepare(from_folder("mine", folder), folder)).read("a").shape == (5, 20, 6)


def test_integers_are_divided_by_the_full_scale(folder: Path) -> None:
    for file in ("a.tif", "bb.nc", "ccc.hdr"):
        save(folder / file, np.full((5, 8, 9), 2500, np.uint16))
    with pytest.raises(fw.InputError, match=r"values up to 2500.*--full-scale"):
        prepare(from_folder("mine", folder, CustomDatasetOptions(full_scale=1.0)), folder)
    store = Store(prepare(from_folder("mine", folder, CustomDatasetOptions(full_scale=10000)), folder))
    np.testing.assert_allclose(store.read("ccc"), 0.25, rtol=1e-6)


def test_bands_that_are_bad_in_one_scene_are_left_out_of_all(folder: Path) -> None:
    save(folder / "ccc.hdr", good_bands=[True, False, True, True, True])
    store = Store(prepare(from_folder("mine", folder), folder))
    np.testing.assert_allclose(store.wavelengths, WAVELENGTHS[[0, 2, 3, 4]])
    np.testing.assert_array_equal(store.read("a"), values("a")[[0, 2, 3, 4]])
    assert store.attributes["dropped_bands"] == [1]


def test_wavelengths_from_a_file_of_their_own(folder: Path, tmp_path: Path) -> None:
    for file in ("a.tif", "bb.nc", "ccc.hdr"):
        save(folder / file, wavelengths=None)
    with pytest.raises(fw.InputError, match="does not say its wavelengths; give them with --wavelengths"):
        from_folder("mine", folder)
    (tmp_path / "bands.csv").write_text("wavelength_nm\n" + "\n".join(map(str, WAVELENGTHS)) + "\n")
    described = from_folder("mine", folder, CustomDatasetOptions(wavelengths=str(tmp_path / "bands.csv")))
    np.testing.assert_allclose(Store(prepare(described, folder)).wavelengths, WAVELENGTHS)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: save(folder / "a.tif", values("a", bands=4), WAVELENGTHS[:4]), "'bb' has 5 bands, 'a' has 4"),
        (lambda folder: save(folder / "a.tif", wavelengths=WAVELENGTHS + 3), r"up to 3\.0 nm apart"),
        (lambda folder: save(folder / "a.nc"), r"two scenes are called 'a': a\.nc and a\.tif"),
        (lambda folder: (folder / "bb.nc").write_bytes(b"CDF no more"), "bb.nc"),
        (lambda folder: save(folder / "a.tif", np.full((5, 8, 9), np.nan, np.float32)), "NaN or infinite"),
    ],
    ids=["missing band", "other wavelengths", "one name", "damaged", "not numbers"],
)
def test_what_is_refused(folder: Path, prepared: Path, spoil, message: str) -> None:
    spoil(folder)
    with pytest.raises(fw.InputError, match=message):
        prepare(from_folder("mine", folder), folder)
    assert not prepared.exists() or not list(prepared.iterdir())


def test_the_split_is_that_of_the_names() -> None:
    """Ordered by SHA-256, 70 / 15 / 15 %: no machine, order or other file decides."""
    names = [f"scene{i}" for i in range(20)]
    split, regions = default_split(dict.fromkeys(names, (64, 64)))
    assert regions == {}
    ordered = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    assert split == {"train": ordered[:14], "val": ordered[14:17], "test": ordered[17:]}
    assert default_split(dict.fromkeys(reversed(names), (8, 8)))[0] == split
    three, _ = default_split(dict.fromkeys(names[:3], (64, 64)))
    assert [len(part) for part in three.values()] == [1, 1, 1]


@pytest.mark.parametrize("size", [(300, 200), (200, 300)])
def test_one_scene_is_cut_across_its_longer_side(size: tuple[int, int]) -> None:
    split, regions = default_split({"a": size})
    assert split == {"train": ["a_train"], "val": ["a_val"], "test": ["a_test"]}
    along = [region.rows if size[0] > size[1] else region.columns for region in regions.values()]
    assert [first - end for (_, end), (first, _) in itertools.pairwise(along)] == [16, 16]
    assert (along[0][0], along[-1][1]) == (0, 300)
    assert along[0][1] / (300 - 32) == pytest.approx(0.7, abs=0.01)
    with pytest.raises(fw.InputError, match="too few to be cut in three"):
        default_split({"a": (100, 100)})


def test_a_description_in_the_folder(folder: Path) -> None:
    (folder / DESCRIPTION).write_text(
        "title: Lakes\ncitation: nobody\nlicence: CC0\nsensor: sentinel2a\nfiles: '*.[tn]*'\n"
        "regions:\n  shore: {image: a, rows: [0, 4], columns: [0, 9]}\n"
        "  bay: {image: a, rows: [5, 8], columns: [0, 9]}\n"
        "split: {val: [shore], test: [bay]}\n"
    )
    described = describe_folder("lakes", folder)
    assert (described.title, described.licence, described.sensor) == ("Lakes", "CC0", "sentinel2a")
    assert described.split == {"train": ("bb",), "val": ("shore",), "test": ("bay",)}
    store = Store(prepare(described, folder))
    np.testing.assert_array_equal(store.read("bay"), values("a")[:, 5:8])
    assert (
        from_folder("lakes", folder, CustomDatasetOptions(sensor="ikonos")).sensor == "ikonos"
    )  # said on the command line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sensr: x", "did you mean 'sensor'"),
        ("split: {valid: [a]}", "unknown part of a split 'valid'"),
        ("split: {val: [aa]}", "unknown scene 'aa'"),
        ("split: {test: [a]}", "no scene for val"),
        ("split: {train: [a], val: [a]}", "'a' is in train and in val"),
        ("regions: {x: {image: a, rows: 3, columns: [0, 2]}}", "region 'x' is not of the form"),
        ("regions: {x: {image: a, rows: [0, 2], columns: [0, 2]}}", "regions need a split"),
        (
            "regions: {x: {image: d, rows: [0, 2], columns: [0, 2]}}\nsplit: {train: [a], val: [x]}",
            "region 'x' is of 'd', which is not",
        ),
        (
            "regions: {x: {image: a, rows: [0, 2], columns: [0, 20]}}\nsplit: {train: [bb], val: [x]}",
            "has 8 x 9 pixels",
        ),
        (
            "regions: {x: {image: a, rows: [0, 2], columns: [0, 2]}}\nsplit: {train: [a], val: [x]}",
            "share pixels of 'a'",
        ),
        ("- a", "not a mapping"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_description_that_will_not_do(folder: Path, text: str, message: str) -> None:
    (folder / DESCRIPTION).write_text(text)
    with pytest.raises(fw.InputError, match=message):
        prepare(describe_folder("mine", folder), folder)


def test_a_misspelt_name_is_no_new_data_set(folder: Path) -> None:
    with pytest.raises(fw.InputError, match=r"did you mean 'cave'.*--own prepares a folder of your own"):
        describe_folder("cavee", folder)
    with pytest.raises(fw.InputError, match="cave is a data set that finewave knows"):
        describe_folder("cave", folder, CustomDatasetOptions())
    with pytest.raises(fw.InputError, match="cannot be the name of a data set"):
        describe_folder("../x", folder, CustomDatasetOptions())


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(fw.InputError, match="no scene in"):
        from_folder("mine", tmp_path)
    with pytest.raises(fw.InputError, match="is not a folder"):
        from_folder("mine", tmp_path / "absent")


def test_links_in_a_description() -> None:
    known = {"url": "https://example.org/a.tif", "sha256": "0" * 64, "name": "a.tif"}
    assert remote_files(CustomDatasetOptions(downloads=[known])) == (DownloadableFile(**known),)
    for change in ({"sha256": "0"}, {"name": "../a"}, {"url": "a.tif"}, {"size": 3}):
        with pytest.raises(fw.InputError, match=r"downloads: .* is not of the form"):
            remote_files(CustomDatasetOptions(downloads=[{**known, **change}]))
