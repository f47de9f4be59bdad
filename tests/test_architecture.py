"""The page on architecture shows the rooms that there are, in the order that the import contract has."""

from __future__ import annotations

import re
import tomllib

from tests.test_docs import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_picture_has_every_room_in_the_order_of_the_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each["type"] == "layers")
    source = ROOT / "src" / "finewave"
    expected = [{name.strip() for name in layer.split("|")} for layer in layers]
    expected = [{name for name in layer if (source / name).is_dir()} for layer in expected]
    picture = PAGE.split("```text")[1].split("```")[0]
    rows = [set(re.findall(r"│ (\w+)/  ", line)) for line in picture.splitlines()]
    assert [row for row in rows if row] == [layer for layer in expected if layer]


def test_every_folder_stands_in_the_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each["type"] == "layers")
    named = {name.strip() for layer in layers for name in layer.split("|")}
    rooms = {path.name for path in (ROOT / "src" / "finewave").iterdir() if (path / "__init__.py").is_file()}
    assert rooms <= named


def test_named_files_are_there() -> None:
    for name in re.findall(r"`([a-z_]+/[a-z_/]+\.(?:py|yaml))`", PAGE):
        assert (ROOT / "src" / "finewave" / name).is_file() or (ROOT / name).is_file(), name
