"""Studies, rows and recipes of another package, by its entry points."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from finewave.studies.catalogue import COMMANDS, STUDIES, add_plugins
from finewave.training.recipes import list_recipes, load_recipe
from finewave.warnings import FinewaveWarning

MODULE = """
from finewave.studies.definition import Row, Study

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
