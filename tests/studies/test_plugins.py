"""Studies, rows and recipes of another package, by its entry points."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

from finewave.studies.definitions.catalogue import COMMANDS, STUDIES, add_plugins
from finewave.training.configuration.recipes import list_recipes, load_recipe
from finewave.warnings import FinewaveWarning

MODULE = """
from finewave.studies.definitions.definition import Row, Study

ROW = Row("mine", "Mine", "jssunet", "mine", overrides=("model.stages=2",))
STUDY = Study("my-study", "A study of mine", "me", "jssunet", (ROW, Row("bicubic", "Bicubic", "bicubic")))
NAMED_LIKE_A_COMMAND = Study("merge", "A study of mine", "me", "jssunet", (ROW,))
NAMED_LIKE_A_FIGURE = Study("figure8", "A study of mine", "me", "jssunet", (ROW,))
NAMED_LIKE_ANOTHER = Study("table2", "A study of mine", "me", "jssunet", (ROW,))
"""

Install = Callable[[str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """A function that installs the package with these entry points."""
    package = tmp_path / "of_mine"
    (package / "recipes").mkdir(parents=True)
    (package / "__init__.py").write_text(MODULE)
    (package / "recipes/__init__.py").touch()
    (package / "recipes/mine-cave-x4.yaml").write_text("base: jssunet-cave-x4\nname: mine-cave-x4\nseed: 5\n")
    facts = tmp_path / "of_mine-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: of-mine\nVersion: 1\n")
    monkeypatch.syspath_prepend(tmp_path)

    def write(points: str) -> None:
        (facts / "entry_points.txt").write_text(points)

    return write


def test_a_study_a_row_and_recipes(install: Install) -> None:
    install(
        "[finewave.studies]\nown = of_mine:STUDY\n[finewave.studies.table2]\nmine = of_mine:ROW\n"
        "[finewave.recipes]\nmine = of_mine.recipes\n"
    )
    studies = dict(STUDIES)
    add_plugins(studies)
    assert [row.key for row in studies["my-study"].rows] == ["mine", "bicubic"]
    assert studies["table2"].rows == (*STUDIES["table2"].rows, studies["my-study"].rows[0])
    assert studies["table3"] is STUDIES["table3"]
    assert "mine-cave-x4" in list_recipes()
    assert load_recipe("mine-cave-x4")["seed"] == 5


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ("[finewave.studies]\nown = of_mine:ABSENT\n", "of_mine:ABSENT is ignored: AttributeError"),
        ("[finewave.studies]\nown = absent_package:STUDY\n", "ignored: ModuleNotFoundError"),
        ("[finewave.studies]\nown = of_mine:ROW\n", "it is not a Study"),
        ("[finewave.studies]\nown = of_mine:NAMED_LIKE_ANOTHER\n", "'table2' of .* is ignored: the name is already"),
        ("[finewave.studies]\nown = of_mine:NAMED_LIKE_A_COMMAND\n", "'merge' of .* is ignored: the name is already"),
        ("[finewave.studies]\nown = of_mine:NAMED_LIKE_A_FIGURE\n", "ignored: the name is already in use"),
        ("[finewave.studies.table2]\nown = of_mine:STUDY\n", "it is not a Row"),
    ],
)
def test_what_does_not_fit_is_left_out(points: str, message: str, install: Install) -> None:
    install(points)
    studies = dict(STUDIES)
    with pytest.warns(FinewaveWarning, match=message):
        add_plugins(studies)
    assert studies == STUDIES


def test_recipes_of_a_broken_package_are_left_out(install: Install) -> None:
    install("[finewave.recipes]\nmine = absent_package\n")
    with pytest.warns(FinewaveWarning, match="the recipes of absent_package are ignored"):
        assert "jssunet-cave-x4" in list_recipes()


def test_names_of_commands_are_those_of_the_program() -> None:
    from finewave.cli.study import study

    assert sorted(study.commands) == sorted(COMMANDS)


NETWORK = """
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.studies.definitions.definition import Row, Study
from finewave.systems.base import SRNetwork


class Spread(SRNetwork):
    task = "sssr"
    receptive_field = 0

    def __init__(self, scale: int = 4, ms_bands: int = 3, hs_bands: int = 31) -> None:
        super().__init__()
        self.scale, self.ms_bands, self.hs_bands = scale, ms_bands, hs_bands
        self.mix = nn.Conv2d(ms_bands, hs_bands, 1)

    def forward(self, lr_msi: Tensor) -> Tensor:
        return F.interpolate(self.mix(lr_msi), scale_factor=self.scale, mode="nearest")


FLOOR = Row("floor", "bicubic + quadratic", "sr-ssr", options={"sr": "bicubic", "ssr": "quadratic"})
STUDY = Study("my-study", "A study of mine", "me", "finewave", (Row("spread", "Spread", "spread", "spread"), FLOOR))
"""
RECIPE = """
base: common-cave-x4
name: spread-cave-x4
data: {crop: 16, batch_size: 2, sampling: random}
model: {system: spread}
phase1: {steps: 4}
"""


@pytest.mark.slow
@pytest.mark.usefixtures("prepared")
def test_network_recipe_and_study_of_another_package_end_to_end(install: Install, tmp_path: Path) -> None:
    """As its users start it: trained, scored, and printed in a table beside a floor."""
    (tmp_path / "of_mine/__init__.py").write_text(NETWORK)
    (tmp_path / "of_mine/recipes/spread-cave-x4.yaml").write_text(RECIPE)
    install(
        "[finewave.systems.sssr]\nspread = of_mine:Spread\n[finewave.recipes]\nmine = of_mine.recipes\n"
        "[finewave.studies]\nmy-study = of_mine:STUDY\n"
    )
    source = Path(__file__).parents[2] / "src"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (tmp_path, source)))}
    given = ["--datasets", "cave", "--split", "val", "--scales", "4", "--budget", "4steps", "--out", tmp_path / "out"]
    command = [sys.executable, "-m", "finewave", "study", "my-study", *map(str, given)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith(("| Spread |", "| bicubic + quadratic |"))]
    assert len(rows) == 2, done.stdout
    assert all(float(row.split("|")[2].strip("* ")) > 0 for row in rows)
    (weights,) = (tmp_path / "out/trainings").rglob("model.safetensors")
    assert load_file(weights)["mix.weight"].shape == (31, 3, 1, 1)
