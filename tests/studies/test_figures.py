from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

import finewave as fw
from finewave.studies.definitions import catalogue
from finewave.studies.definitions.definition import Figure
from finewave.studies.figures import choose_scene, take_picture
from tests.cli.command_line import assert_refused, run
from tests.studies.conftest import request_of

FIGURE = Figure("figure0", "tiny", "nobody, fig. 0", "tiny", "cave", 4, "scene3")


def test_the_published_figures_have_tables() -> None:
    assert list(catalogue.FIGURES) == ["figure8", "figure9", "figure10"]
    for figure in catalogue.FIGURES.values():
        study = catalogue.get_study(figure.table)
        assert figure.dataset in study.datasets
        assert figure.scale in study.scales


def test_the_scene_to_show() -> None:
    assert choose_scene(FIGURE, ["a", "scene3"], None) == "scene3"
    assert choose_scene(FIGURE, ["a", "b"], None) == "a"
    assert choose_scene(FIGURE, ["a", "scene3"], "a") == "a"
    with pytest.raises(fw.InputError, match="did you mean 'scene3'"):
        choose_scene(FIGURE, ["a", "scene3"], "scene4")


@pytest.mark.usefixtures("tiny", "prepared")
def test_a_figure_from_the_models_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue.FIGURES, "figure0", FIGURE)
    asked = ("figure0", "--split", "val", "--budget", "4steps", "--no-train", "--out", tmp_path)
    made = run("study", *asked)
    assert made.exit_code == 0, made.output
    path = tmp_path / "figures" / "figure0-cave-x4-scene3-published-4steps.png"
    assert made.output == f"written: {path}\n"
    image = iio.imread(path)
    assert min(image.shape[:2]) > 500
    assert len(np.unique(image.reshape(-1, image.shape[2]), axis=0)) > 500
    before = path.read_bytes()
    assert run("study", *asked).exit_code == 0
    assert path.read_bytes() == before

    picture = take_picture(FIGURE, request_of(), tmp_path)
    assert [panel.label for panel in picture.panels] == ["bicubic + quadratic"]
    assert picture.missing == ("no clusters", "learned, without post", "learned, with post")
    by_hand = fw.metrics.evaluate(picture.panels[0].values, picture.truth, 4)
    assert picture.panels[0].psnr == pytest.approx(by_hand["psnr"])
    assert picture.observed.shape == (3, 12, 12)

    assert_refused(run("study", *asked, "--rows", "with"), "no model of tiny lies in")
    assert_refused(run("study", *asked, "--scene", "scene4"), "did you mean 'scene3'")
