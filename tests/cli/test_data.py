"""``finewave data``."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import finewave as fw
from finewave.datasets.registry import get_dataset, list_datasets
from finewave.scene import make_scene
from tests.cli.command_line import assert_refused, run

PAGE = Path(__file__).parents[2] / "docs" / "datasets.md"


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINEWAVE_PREPARED", str(tmp_path / "prepared"))
    monkeypatch.setenv("FINEWAVE_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Three small scenes."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    for i, name in enumerate(("north", "south", "west")):
        scene = make_scene(np.full((4, 8, 8), 0.1 * (i + 1), np.float32), wavelengths=[450.0, 550.0, 650.0, 800.0])
        fw.save_scene(scene, folder / f"{name}.tif")
    return folder


def test_list_has_a_row_for_each(tmp_path: Path) -> None:
    (tmp_path / "data" / "remote").mkdir(parents=True)
    result = run("data", "list")
    assert result.exit_code == 0, result.output
    rows = {line.split()[0]: line.split() for line in result.stdout.splitlines()[2:-1]}
    assert sorted(rows) == sorted(list_datasets())
    assert rows["cave"][1:6] == ["31", "400-700", "20/6/6", "nikon-d5100", "absent"]
    assert rows["vnir100"][1:6] == ["100", "430-860", "4/1/3", "ikonos", "present"]


def test_list_shows_the_others_beside_a_damaged_store(tmp_path: Path) -> None:
    (tmp_path / "prepared" / "mine.zarr").mkdir(parents=True)
    result = run("data", "list")
    assert result.exit_code == 0, result.output
    assert re.search(r"^mine .* damaged store", result.stdout, re.MULTILINE)
    assert re.search(r"^vnir100 ", result.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", ["cave", "vnir100", "chikusei", "ntire2020"])
def test_show_says_everything(name: str) -> None:
    result = run("data", "show", name)
    assert result.exit_code == 0, result.output
    dataset = get_dataset(name)
    for text in (dataset.title, dataset.citation, dataset.licence, dataset.home, dataset.instructions, dataset.notes):
        assert text in result.stdout
    for scene in dataset.scenes:
        assert scene in result.stdout
    for region in dataset.regions.values():
        assert f"rows {region.rows[0]}-{region.rows[1]}" in result.stdout


def test_download_says_what_to_fetch() -> None:
    result = run("data", "download", "pavia-university")
    assert result.exit_code == 0, result.output
    assert "PaviaU.mat of the page" in result.stdout
    assert "finewave data prepare pavia-university --from" in result.stdout


def test_an_own_folder_from_end_to_end(scenes: Path) -> None:
    command = ("data", "prepare", "mine", "--from", scenes, "--own", "--sensor", "ikonos", "--val", "south")
    result = run(*command, "--test", "north")
    assert result.exit_code == 0, result.output
    assert "prepared: " in result.stdout
    assert "1 of 3: west" in result.stderr
    again = run(*command, "--test", "north")
    assert "is up to date" in again.stderr
    row = next(line for line in run("data", "list").stdout.splitlines() if line.startswith("mine"))
    assert row.split()[1:6] == ["4", "450-800", "1/1/1", "ikonos", "prepared"]
    result = run("evaluate", "--model", "bicubic", "--dataset", "mine", "--split", "val", "--scale", 2)
    assert result.exit_code == 0, result.output
    assert "south" in result.stdout
    result = run("evaluate", "--model", "bicubic", "--dataset", "mine", "--folds", "loo", "--scale", 2, "--baseline")
    assert result.exit_code == 0, result.output
    assert "of 2 scenes" in result.stdout
    assert "by PSNR the best of 2" in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("mine",), "--own prepares a folder of your own"),
        (("mine", "--own", "--val", "nort"), "did you mean 'north'"),
        (("mine", "--own", "--val", "north", "--test", "north"), "'north' is in val and in test"),
        (("cave", "--own"), "cave is a data set that finewave knows"),
        (("mine", "--own", "--wavelengths", "none.csv"), "none.csv"),
    ],
)
def test_what_prepare_refuses(scenes: Path, words: tuple[str, ...], message: str) -> None:
    assert_refused(run("data", "prepare", *words, "--from", scenes), message)


def test_downloads_of_a_description(tmp_path: Path) -> None:
    (tmp_path / "finewave-dataset.yaml").write_text("downloads: [{url: x, sha256: y, name: z}]")
    assert_refused(run("data", "download", tmp_path / "finewave-dataset.yaml"), "is not of the form")


def test_the_page_has_a_row_for_each() -> None:
    table = PAGE.read_text(encoding="utf-8").split("## Available data sets\n")[1].split("\n\n")[0].strip()
    rows = {cells[1].strip(" `"): cells for line in table.splitlines()[2:] if (cells := line.split("|"))}
    assert sorted(rows) == sorted(list_datasets())
    for name, cells in rows.items():
        dataset = get_dataset(name)
        if "@" in name:
            continue
        low, high = dataset.wavelengths.min(), dataset.wavelengths.max()
        assert cells[3].strip() == f"{len(dataset.wavelengths)}, {low:.0f}-{high:.0f} nm"
        assert cells[4].strip() == ("maximum" if dataset.full_scale is None else f"{dataset.full_scale:g}")
        assert cells[6].strip(" `") == dataset.sensor
        counts = [len(dataset.split.get(part, ())) for part in ("train", "val", "test")]
        told = re.match(r"(\d+) / (\d+) / (\d+) scenes", cells[5].strip())
        assert not (told and dataset.split) or [int(number) for number in told.groups()] == counts
