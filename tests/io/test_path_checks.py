from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from finewave.cli import main
from finewave.errors import InputError
from finewave.inference.predict import predict_file
from finewave.io.path_checks import check_name, keep_inputs
from finewave.zoo.card import Card
from tests.inference.tiny_models import save_model, write_scene


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "tiny")


def status(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def through_a_link(folder: Path, source: Path) -> Path:
    (folder / "link.tif").symlink_to(source)
    return folder / "link.tif"


def by_a_hard_link(folder: Path, source: Path) -> Path:
    os.link(source, folder / "hard.tif")
    return folder / "hard.tif"


@pytest.mark.parametrize(
    "output_of",
    [
        lambda folder, source: source,
        lambda folder, source: folder / ".." / folder.name / source.name,
        lambda folder, source: folder,  # a folder that holds it, which the output of its name would replace
        through_a_link,
        by_a_hard_link,
    ],
    ids=["name", "dots", "folder", "link", "hard link"],
)
def test_predict_does_not_write_over_its_input(
    output_of: Callable[[Path, Path], Path], model: Path, tmp_path: Path
) -> None:
    source = write_scene(tmp_path / "scene.tif", 16, 16)
    before = source.read_bytes()
    with pytest.raises(InputError, match=r"scene\.tif, which would be overwritten: .*--overwrite"):
        predict_file(source, output_of(tmp_path, source), model)
    assert source.read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_a_folder_is_not_its_own_output(model: Path, tmp_path: Path) -> None:
    source = write_scene(tmp_path / "scene.tif", 16, 16)
    before = source.read_bytes()
    linked = tmp_path.parent / f"{tmp_path.name}-linked"
    linked.symlink_to(tmp_path)
    for output in (tmp_path, linked):
        assert status("predict", tmp_path, "-o", output, "--model", model) == 2
        assert source.read_bytes() == before


def test_an_envi_image_is_two_files(model: Path, tmp_path: Path) -> None:
    from finewave.io.open_save import load_scene, save_scene

    source = write_scene(tmp_path / "scene.tif", 16, 16)
    save_scene(load_scene(source), tmp_path / "scene.hdr")
    with pytest.raises(InputError, match="would be overwritten"):
        predict_file(tmp_path / "scene.hdr", tmp_path / "scene.img", model)


def test_files_beside_the_output_are_not_written_over_the_input(model: Path, tmp_path: Path) -> None:
    source = write_scene(tmp_path / "out.spread.tif", 16, 16)
    before = source.read_bytes()
    with pytest.raises(InputError, match=r"out\.spread\.tif, which would be overwritten: .*--overwrite"):
        predict_file(source, tmp_path / "out.tif", model, spread=True)
    assert source.read_bytes() == before


def test_who_wants_it_has_it(model: Path, tmp_path: Path) -> None:
    from finewave.io.open_save import open_scene

    source = write_scene(tmp_path / "scene.tif", 16, 16)
    assert status("predict", source, "-o", source, "--model", model, "--overwrite") == 0
    assert open_scene(source).sizes["y"] > 16


def test_a_guide_is_an_input_and_stores_are_folders(tmp_path: Path) -> None:
    store = tmp_path / "in.zarr"
    store.mkdir()
    with pytest.raises(InputError, match="lies in the input"):
        keep_inputs([store], [store / "out.tif"])
    (store / "x.tif").write_text("")
    with pytest.raises(InputError, match="holds the input"):
        keep_inputs([store / "x.tif"], [store])
    keep_inputs([store, tmp_path / "missing.tif"], [tmp_path / "missing.tif", tmp_path / "out.tif"])


def test_figures_and_reports_keep_their_images(tmp_path: Path) -> None:
    import imageio.v3 as iio
    import numpy as np

    path = tmp_path / "photo.png"
    iio.imwrite(path, np.zeros((16, 16, 3), np.uint8) + 90)
    before = path.read_bytes()
    assert status("figure", path, "-o", path) == 2
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "name", ["../../x", "a/b", "..", "", ".hidden", "a\\b", "C:x", "a\0b", "a\nb", "x" * 300, "\u202ea"]
)
def test_names_are_no_paths(name: str, model: Path) -> None:
    with pytest.raises(InputError, match="not a plain name"):
        check_name(name, "its name")
    card = Card.read(model / "card.json").with_facts(name=name)
    with pytest.raises(InputError, match="not a plain name"):
        Card.from_json(card.to_json())


def test_a_recipe_does_not_lead_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from finewave.training.trainer import train

    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with pytest.raises(InputError, match="not a plain name"):
        train("jssunet-cave-x4", ["name=../../x"])
    assert list((tmp_path / "work").iterdir()) == []
