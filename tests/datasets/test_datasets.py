"""Every data set in its owner's layout: read whole, and refused when something is wrong with it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

import finewave as fw
from finewave.datasets import preparation
from finewave.datasets import store as stores
from finewave.datasets.base import Dataset, Region
from finewave.datasets.preparation import settled
from finewave.datasets.registry import get_dataset, list_datasets, open_scenes, prepare
from finewave.datasets.store import Store, checksum
from finewave.physics.sensors import get_sensor
from tests.datasets.layouts import LAYOUTS, Layout

NAMES = sorted(LAYOUTS)


@pytest.fixture(params=NAMES)
def layout(request: pytest.FixtureRequest) -> Layout:
    return LAYOUTS[request.param]()


@pytest.fixture
def published(layout: Layout, tmp_path: Path) -> Path:
    return layout.publish(tmp_path / "published")


def of(*names: str) -> pytest.MarkDecorator:
    """Only these data sets."""
    return pytest.mark.parametrize("layout", names, indirect=True)


def test_a_folder_that_nobody_made_is_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINEWAVE_PREPARED", str(tmp_path / "prepared"))
    monkeypatch.setenv("FINEWAVE_DATA", str(tmp_path / "nowhere"))
    missing = "cave lacks cloth \\({}\\); run: finewave data prepare cave --from FOLDER"
    with pytest.raises(fw.InputError, match=missing.format("it is not prepared")):
        open_scenes("cave", ["cloth"])
    monkeypatch.setenv("FINEWAVE_DATA", str(tmp_path))
    (tmp_path / "cave/balloons_ms").mkdir(parents=True)
    (tmp_path / "cave/balloons_ms/balloons_ms_01.png").touch()
    with pytest.raises(fw.InputError, match=missing.format(f"{tmp_path / 'cave'} lacks them")):
        open_scenes("cave", ["cloth"])


def test_all_that_finewave_knows_have_a_layout_here() -> None:
    other_splits = {"pavia-centre@jssunet", "cave@mulsr", "harvard@mulsr"}  # of files that are here
    assert set(list_datasets()) - other_splits == set(NAMES)


@pytest.mark.parametrize("name", list_datasets())
def test_a_description_is_complete_and_its_split_is_sound(name: str) -> None:
    dataset = get_dataset(name)
    dataset.check_split()
    assert dataset.name == name
    assert np.all(np.diff(dataset.wavelengths) > 0)
    assert all((dataset.title, dataset.citation, dataset.licence, dataset.instructions))
    assert set(dataset.regions) <= set(dataset.scenes)
    assert dataset.split_of or (dataset.split["train"] and dataset.split["val"])
    response = get_sensor(dataset.sensor).response(dataset.wavelengths)  # its bands are where the sensor sees
    np.testing.assert_allclose(response.sum(1), 1)
    if dataset.size:
        for region in dataset.regions.values():
            assert region.rows[1] <= dataset.size[0]
            assert region.columns[1] <= dataset.size[1]


def test_a_store_holds_what_the_files_hold(layout: Layout, published: Path, tmp_path: Path) -> None:
    store = Store(prepare(layout.dataset, published, tmp_path / "out" / "a.zarr"))
    dataset = settled(layout.dataset, published)
    assert sorted(dataset.scenes) == store.names
    assert store.attributes["split"] == {part: list(names) for part, names in dataset.split.items()}
    np.testing.assert_array_equal(store.wavelengths, dataset.wavelengths)
    whole = {name: layout.expected(cube, name) for name, cube in layout.images.items()}
    for name in dataset.scenes:
        image = whole[dataset.image_of(name)]
        cube = store.read(name)
        region = dataset.regions.get(name)
        part = image if region is None else image[:, slice(*region.rows), slice(*region.columns)]
        if dataset.name == "vnir100":  # interpolated
            np.testing.assert_allclose(cube, part, rtol=1e-6)
        else:
            np.testing.assert_array_equal(cube, part)
        expected = dataset.full_scale or image.max()
        assert store.full_scale(name) == pytest.approx(expected)
        assert store.checksum(name) == checksum(cube)
        for companion in dataset.companions:
            assert store.read(name, companion).shape[1] % cube.shape[1] == 0
    assert store.companions == sorted(dataset.companions)
    sources = store.attributes["sources_sha256"]
    assert sources
    assert all((published / name).is_file() for name in sources)


def test_what_is_there_already_is_left_as_it_is(
    layout: Layout, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = prepare(layout.dataset, published, tmp_path / "out" / "a.zarr")

    def never(*arguments: object) -> None:
        raise AssertionError("read again")

    before = Store(target).attributes["sha256"]
    with monkeypatch.context() as patch:
        patch.setattr(preparation, "read_scenes", never)
        assert prepare(layout.dataset, published, target) == target
    cube = layout.images[layout.one].copy()
    cube[len(cube) // 2, 3, 3] += 1
    layout.put(published, layout.one, cube)
    prepare(layout.dataset, published, target)
    assert before != Store(target).attributes["sha256"]
    prepare(replace(layout.dataset, version=2), published, target)
    assert Store(target).attributes["version"] == 2


def refused(layout: Layout, published: Path, tmp_path: Path, message: str) -> None:
    """Preparing says what is wrong on one line, and leaves nothing."""
    target = tmp_path / "out" / "a.zarr"
    with pytest.raises(fw.InputError, match=message) as caught:
        prepare(layout.dataset, published, target)
    assert "\n" not in str(caught.value)
    assert not target.parent.exists() or not list(target.parent.iterdir())


def test_a_missing_band_is_refused(layout: Layout, published: Path, tmp_path: Path) -> None:
    layout.put(published, layout.one, layout.images[layout.one][:-1])
    refused(layout, published, tmp_path, r"band|channels")


@of(*(name for name in NAMES if name != "aviris"))  # crops of any size
def test_a_wrong_size_is_refused(layout: Layout, published: Path, tmp_path: Path) -> None:
    layout.put(published, layout.one, layout.images[layout.one][:, :4, :-1])
    refused(layout, published, tmp_path, "pixels")


def test_a_damaged_file_is_refused(layout: Layout, published: Path, tmp_path: Path) -> None:
    path = layout.place(published, layout.one)
    files = sorted(path.rglob("*.*")) if path.is_dir() else [path]
    file = next(each for each in files if each.is_file())
    file.write_bytes(file.read_bytes()[:60])
    refused(layout, published, tmp_path, f"{file.name}.*damaged|damaged.*{file.name}")


def test_an_image_that_is_not_there_is_named(layout: Layout, published: Path, tmp_path: Path) -> None:
    path = layout.place(published, layout.one)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    refused(layout, published, tmp_path, r"missing train: |no .* in |beside the|not a folder")


def test_two_images_of_one_name_are_refused(layout: Layout, published: Path, tmp_path: Path) -> None:
    path = layout.place(published, layout.one)
    if layout.dataset.name == "worldview2-colosseum":
        shutil.copy(path / "ms.tif", path / "again.tif")
        return refused(layout, published, tmp_path, "2 of 8 bands")
    if path.is_dir():
        np.savez(path.with_name(f"{path.name}.npz"), k=0)
    else:
        (path.parent / "again").mkdir()
        shutil.copy(path, path.parent / "again" / path.name)
    refused(layout, published, tmp_path, "is there twice")


@of("ntire2020", "arad-1k", "harvard", "kaist", "pavia-centre", "chikusei", "ssc-hsr", "icvl", "paris")  # not integers
def test_numbers_that_are_none_are_refused(layout: Layout, published: Path, tmp_path: Path) -> None:
    cube = layout.images[layout.one].copy()
    cube[:, :, :] = np.where(np.arange(cube.shape[2]) == cube.shape[2] // 2, np.nan, cube)
    layout.put(published, layout.one, cube)
    refused(layout, published, tmp_path, "NaN or infinite")


def test_an_overlapping_split_is_refused(layout: Layout, published: Path, tmp_path: Path) -> None:
    dataset = settled(layout.dataset, published)
    train = dataset.split["train"][0]
    both = replace(dataset, split={**dataset.split, "val": [*dataset.split["val"], train]})
    refused(replace(layout, dataset=both), published, tmp_path, f"scene '{train}' is in train and in val")
    image = dataset.image_of(train)
    height, width = layout.expected(layout.images[image], image).shape[1:]
    region = dataset.regions.get(train, Region(image, (0, height), (0, width)))
    corner = Region(image, (region.rows[1] - 1, region.rows[1]), (region.columns[0], region.columns[0] + 1))
    cut = replace(
        dataset,
        split={**dataset.split, "val": [*dataset.split["val"], "corner"]},
        regions={**dataset.regions, "corner": corner},
    )
    refused(
        replace(layout, dataset=cut), published, tmp_path, rf"'{train}' \(train\) and 'corner' \(val\) share pixels"
    )


def test_a_full_disk_leaves_nothing(
    layout: Layout, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(root: zarr.Group, name: str, values: np.ndarray) -> None:
        root.create_array(name, shape=values.shape, dtype=values.dtype, chunks=values.shape)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stores, "_write", full)
    refused(layout, published, tmp_path, "the disk is full")


@of("pavia-centre", "chikusei")
def test_a_variable_of_another_name_is_refused(layout: Layout, published: Path, tmp_path: Path) -> None:
    import scipy.io

    scipy.io.savemat(layout.place(published, layout.one), {"image": np.zeros((3, 4, 5))})
    refused(layout, published, tmp_path, f"no variable '{layout.one}'; it holds image")


@of("ntire2020", "arad-1k")
def test_other_wavelengths_are_refused(layout: Layout, published: Path, tmp_path: Path) -> None:
    from tests.datasets.layouts import write_matlab_73

    bands = np.arange(390.0, 691.0, 10.0)[None]
    write_matlab_73(layout.place(published, layout.one), layout.images[layout.one], "cube", bands=bands)
    refused(layout, published, tmp_path, "bands are 390, 400")


@of("harvard")
def test_scenes_of_the_other_harvard_archive_are_left_aside(layout: Layout, published: Path, tmp_path: Path) -> None:
    path = layout.place(published, "img1")
    shutil.copy(path, path.with_name("imgg0.mat"))
    assert Store(prepare(layout.dataset, published, tmp_path / "a.zarr")).names == ["img1", "imgb5", "imgh3"]


def references(published: Path) -> dict[str, Path]:
    return {path.stem: path for path in published.rglob("*.png")}


@of("ssc-hsr", "flowers")
def test_a_pair_without_its_reference_is_refused(layout: Layout, published: Path, tmp_path: Path) -> None:
    references(published)["scene_0"].unlink()
    refused(layout, published, tmp_path, "reference image is missing")


@of("ssc-hsr", "flowers")
def test_another_reference_is_another_source(layout: Layout, published: Path, tmp_path: Path) -> None:
    target = prepare(layout.dataset, published, tmp_path / "a.zarr")
    shutil.copy(references(published)["scene_4"], references(published)["scene_3"])
    prepare(layout.dataset, published, target)
    np.testing.assert_array_equal(Store(target).read("scene_3", "ref_rgb"), np.full((3, 6, 7), 4))


@of("ssc-hsr", "flowers")
def test_the_reference_is_stored_with_its_scene(layout: Layout, published: Path, tmp_path: Path) -> None:
    store = Store(prepare(layout.dataset, published, tmp_path / "a.zarr"))
    np.testing.assert_array_equal(store.read("scene_3", "ref_rgb"), np.full((3, 6, 7), 3))
    with pytest.raises(fw.InputError, match="no 'pan' of its scenes, but ref_rgb"):
        store.read("scene_3", "pan")


def test_the_split_of_icvl_is_that_of_the_scenes_that_are_there(tmp_path: Path) -> None:
    from finewave.datasets.catalogue import icvl

    for i in range(21):
        (tmp_path / f"scene_{i:02}.mat").touch()
    split = icvl.split_of(tmp_path)
    assert (split["val"], split["test"]) == (["scene_04", "scene_14"], ["scene_09", "scene_19"])
    assert len(split["train"]) == 17
    assert sorted(name for names in split.values() for name in names) == [f"scene_{i:02}" for i in range(21)]


def test_the_names_of_harvard_are_those_of_its_archive() -> None:
    names = get_dataset("harvard").scenes
    assert len(names) == len(set(names)) == 50
    assert {"img1", "imgb0", "imgd9", "imge4", "imgh3"} <= set(names)
    assert not {"img3", "imga4", "imgc3", "imgd0", "imgg0"} & set(names)


def test_the_published_crop_of_chikusei() -> None:
    """SSPSR's MATLAB code: chikusei(107:2410, 144:2191, :), the first 512 rows in four."""
    from finewave.datasets.catalogue import chikusei

    assert (chikusei.ROWS, chikusei.COLUMNS) == ((107 - 1, 2410), (144 - 1, 2191))
    dataset = get_dataset("chikusei")
    assert dataset.size == (2304, 2048)
    tests = [dataset.regions[name] for name in dataset.split["test"]]
    assert [(r.rows, r.columns) for r in tests] == [((0, 512), (512 * k, 512 * (k + 1))) for k in range(4)]


def test_hyperions_channels() -> None:
    """The centres of USGS's table of the instrument, to 0.1 nm."""
    from finewave.datasets.catalogue.paris import hyperion_wavelengths

    table = {8: 426.82, 57: 925.41, 77: 912.45, 224: 2395.50}
    np.testing.assert_allclose(hyperion_wavelengths(np.array(list(table))), list(table.values()), atol=0.1)


def description(**changes: object) -> Dataset:
    return replace(LAYOUTS["cave"]().dataset, **changes)  # type: ignore[arg-type]


def test_a_part_that_there_is_not() -> None:
    with pytest.raises(fw.InputError, match="'valid' is none of them"):
        description(split={"train": ("cd",), "valid": ("beads",)}).check_split()


def test_a_scene_twice_in_a_part() -> None:
    with pytest.raises(fw.InputError, match="'cd' is twice in train"):
        description(split={"train": ("cd", "cd")}).check_split()


def test_neighbours_do_not_overlap() -> None:
    regions = {"a": Region("cd", (0, 3), (0, 7)), "b": Region("cd", (3, 6), (0, 7))}
    description(split={"train": ("a",), "val": ("b",)}, regions=regions).check_split()
