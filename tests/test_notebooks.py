"""The notebooks of the gallery: whole, small, in step with their code; executed with real scenes and without (slow)."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest

import finewave
from finewave.locations import data_folder
from tests.file_modules import module_of

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LARGEST = 300_000
FALL_BACK = ("anchors", "fit", "fusion", "own_model", "sentinel2")
"""Notebooks that use real scenes where they are; the others always make their own."""


@pytest.fixture(scope="module")
def execute() -> ModuleType:
    return module_of(FOLDER / "execute.py")


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_six() -> None:
    assert len(NOTEBOOKS) == 6
    gallery = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\((\w+\.ipynb)\)", gallery)) == {path.name for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_whole_and_in_step(path: Path, execute: ModuleType) -> None:
    text = path.read_text(encoding="utf-8")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert path.stat().st_size < LARGEST
    assert notebook.metadata["finewave"]["code"] == execute.digest(notebook), "outputs of other code: execute it"
    assert [cell.execution_count for cell in code_cells(notebook)] == list(range(1, len(code_cells(notebook)) + 1))
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"] == []
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 1
    assert re.findall(r"/(?:tmp|home|root|work|Users)/\w+|0x[0-9a-f]{8}", text) == []
    assert "MADE UP" not in "".join(output.get("text", "") for output in outputs)
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_its_names_exist(path: Path) -> None:
    program = ast.parse("\n".join(cell.source for cell in code_cells(nbformat.read(path, as_version=4))))
    used = {
        node.attr
        for node in ast.walk(program)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "fw"
    }
    assert used <= set(finewave.__all__)
    for node in ast.walk(program):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("finewave"):
            module = importlib.import_module(node.module or "")
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def shape(notebook: Any) -> list[list[str]]:
    """Return of each cell of code which kinds of outputs it has; consecutive texts are one."""
    kinds = []
    for cell in code_cells(notebook):
        found = []
        for output in cell.outputs:
            data = output.get("data", {})
            kind = "picture" if "image/png" in data else "value" if data else output.get("name", "")
            if kind not in found:
                found.append(kind)
        kinds.append([kind for kind in found if kind != "stderr"])
    return kinds


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_executed_again(path: Path, execute: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each claim of a notebook is asserted in it."""
    if not (data_folder() / "cave").is_dir():
        pytest.skip("no real scenes: set FINEWAVE_DATA")
    _alone(monkeypatch)
    assert shape(execute.executed(path, data_folder())) == shape(nbformat.read(path, as_version=4))


@pytest.mark.slow
@pytest.mark.parametrize("name", FALL_BACK)
def test_without_real_scenes_it_says_so(name: str, execute: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    _alone(monkeypatch)
    done = execute.executed(FOLDER / f"{name}.ipynb", None)
    outputs = [output for cell in code_cells(done) for output in cell.outputs]
    assert any("MADE UP" in output.get("text", "") for output in outputs)


def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernel import what is tested, on one thread."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    source = str(Path(finewave.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH", "")])))
