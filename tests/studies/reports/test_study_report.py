from __future__ import annotations

import re
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from finewave.studies.reports import study_report as report
from finewave.studies.reports.study_report import write_study_report
from finewave.studies.reports.table_formats import write_table
from finewave.studies.reports.tables import build_table
from finewave.studies.results import cells_folder
from tests.cli.command_line import assert_refused, run
from tests.studies.conftest import request_of, write_made_up
from tests.viz.report.test_report import assert_accessible, assert_complete, parsed

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study's folder with a table, a figure and cells that nobody trained."""
    out = tmp_path / "studies"
    request = request_of()
    write_made_up(out, request, {"floor": [28.0, 29.0], "none": [30.123, 31.0], "with": [29.5, 30.5]})
    write_table(build_table(request, out), out)
    (out / "figures").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (60, 90, 4), np.uint8)
    iio.imwrite(out / "figures" / "figure0-cave-x4-scene3-published-4steps.png", noise)
    return out


def test_a_study_in_one_file(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "study.html"
    made = run("report", folder, "-o", path)
    assert made.exit_code == 0, made.output
    assert made.stdout == f"written: {path} (0.0 MB)\n"
    page = parsed(path)
    assert_complete(page)
    assert_accessible(page)
    text = path.read_text(encoding="utf-8")
    assert "<h2>A study for tests</h2>" in text
    # the best in bold, the second in italics, the missing row, as in the written table
    assert "<strong>30.56</strong></td>" in text
    assert "<em>30.00</em></td>" in text
    assert "<li>–: not made</li>" in text
    assert text.count("<h3>Protocol</h3>") == 1
    # the protocol under the table and of the cells
    assert "protocol tiny: LR images by kernel gaussian; metrics on non-overlapping 16 x 16 crops" in text
    assert (
        "tiny: LR images by kernel gaussian; metrics on non-overlapping 16 × 16 crops, convention jssunet."
        in page.words
    )
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 1
    assert images[0]["src"].startswith("data:image/webp;base64,")
    assert "scene3" in images[0]["alt"]
    # every cell with every image
    assert "1 table, 1 figure, 3 cells" in page.words
    for file in cells_folder(folder).glob("*.json"):
        assert file.stem.rpartition("-")[2] in page.words
    assert page.words.count("scene1") == 3
    assert "sr-ssr, cave x4, val: 2 images" in page.words
    assert re.search(r"jssunet, cave x4, val \([^)]*model.clusters none[^)]*\): 2 images", page.words)
    assert "finewave 0.1 (abc)" in page.words


def test_cells_alone_make_a_report(folder: Path, tmp_path: Path) -> None:
    for file in folder.glob("tiny-*"):
        file.unlink()
    page = parsed(write_study_report(folder, tmp_path / "s.html", title="Ours & theirs"))
    assert "0 tables, 1 figure, 3 cells" in page.words
    assert "finewave study NAME --no-train" in page.words
    assert "Ours & theirs" in page.words


def test_figures_fit_into_their_bytes(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "FIGURE_BYTES", 3000)
    monkeypatch.setattr(report, "FIGURE_WIDTH", 45)
    page = parsed(write_study_report(folder, tmp_path / "s.html"))
    (image,) = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(image["src"]) <= 3000


def test_what_cannot_be_reported(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "s.html"
    assert_refused(run("report", folder, "--reference", "gt.tif", "-o", output), "--reference", str(folder), "a study")
    assert_refused(run("report", folder, "-o", tmp_path / "s.pdf"), "'.pdf'", ".html")
    empty = tmp_path / "empty"
    (empty / "trainings").mkdir(parents=True)
    assert_refused(run("report", empty, "-o", output), str(empty / "cells"), "holds no cells", "finewave study")
    damaged = next(cells_folder(folder).glob("*.json"))
    damaged.write_text("{")
    assert_refused(run("report", folder, "-o", output), damaged.name, "cannot be read")
    assert not output.exists()
