"""Packages that build, train, run and score networks depend on tasks, not on single systems."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.test_docs import ROOT

SOURCE = ROOT / "src" / "finewave"
SHARED = (
    *("base", "objective", "reference", "reference_weights", "registry", "signatures", "start_weights", "tile_stages"),
    "weights",
)


def systems_imported_by(path: Path) -> set[str]:
    """Return the systems that a module imports from."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("finewave.systems."):
            found.add(str(node.module).split(".")[2])
    return found - set(SHARED)


@pytest.mark.parametrize("package", ["training", "evaluation", "inference"])
def test_no_module_imports_a_system(package: str) -> None:
    for path in sorted((SOURCE / package).rglob("*.py")):
        assert not systems_imported_by(path), path
