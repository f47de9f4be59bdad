"""The committed tables are those that their cells make, by the commands that the page of results gives."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from finewave.cli import main

RESULTS = Path(__file__).parents[2] / "docs" / "results"
COMMANDS = re.findall(r"^finewave (study table.*) --out studies$", (RESULTS / "README.md").read_text(), re.MULTILINE)


def test_every_table_has_a_command() -> None:
    names = {path.name.partition("-")[0] for path in RESULTS.glob("table*.md")}
    assert {command.split()[1] for command in COMMANDS} == names


@pytest.mark.data
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split()[1])
def test_cells_make_the_table(command: str, tmp_path: Path) -> None:
    shutil.copytree(RESULTS / "cells", tmp_path / "cells")
    made = CliRunner().invoke(main, [*shlex.split(command), "--out", str(tmp_path), "--no-train"])
    assert made.exit_code == 0, made.output
    written = [path for path in tmp_path.iterdir() if path.is_file()]
    assert {path.suffix for path in written} == {".md", ".csv", ".tex"}
    for path in written:
        assert path.read_text() == (RESULTS / path.name).read_text()
