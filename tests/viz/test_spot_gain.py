"""The picture of what spots do to a scene, and what its command refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from finewave.cli import main
from finewave.viz.spot_gain import draw_spot_gain


def test_angles_of_the_maps_follow_the_errors(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    truth = random.random((4, 20, 24)) + 0.2
    wrong = truth + 0.5 * random.random((4, 20, 24))
    colours, spots = truth[:3].transpose(1, 2, 0), np.array([[5.0, 5.0], [10.0, 20.0]])
    draw_spot_gain(colours, truth, wrong, truth, spots, tmp_path / "a.png")
    picture = np.asarray(Image.open(tmp_path / "a.png").convert("L"), float)
    height, width = picture.shape
    middle = picture[height // 3 : 2 * height // 3]
    before, after = middle[:, int(width * 0.42) : int(width * 0.5)], middle[:, int(width * 0.7) : int(width * 0.78)]
    assert after.std() < 1  # no error anywhere: one colour
    assert before.std() > 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--picture", "a.png"], "--picture is of one scene"),
        (["--scene", "beads", "--picture", "a.xyz"], "unknown extension of a figure"),
        (["--scene", "beads", "--picture", "a.png", "--spots", "0"], "--picture shows spots"),
        (["--scene", "beads", "--folds", "loo"], "leave out --scene"),
        (["--size", "4"], "an odd number of pixels"),
        (["--folds", "two"], "--folds two"),
    ],
)
def test_what_does_not_go_together_is_said_before_any_work(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(main, ["study", "anchors", "--model", "mstpp-cave", *arguments])
    assert result.exit_code == 2
    assert words in result.stderr
