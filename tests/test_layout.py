"""Where things stand: tests mirror the source tree, and a fact of the package stands once."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import finewave

ROOT = Path(__file__).parents[1]
# parity and plain are references, not tests of one package; a browser drives the whole page, QGIS its plugin
OTHERS = {Path(each) for each in ("parity", "plain", "viz/browser", "benchmarks", "fuzz", "kills", "qgis")}


@pytest.mark.parametrize("folder", sorted({path.parent for path in (ROOT / "tests").rglob("*.py")}))
def test_a_folder_of_tests_is_that_of_a_room(folder: Path) -> None:
    package = folder.relative_to(ROOT / "tests")
    assert package in OTHERS or (ROOT / "src" / "finewave" / package).is_dir()


@pytest.mark.parametrize("package", sorted(path.parent for path in (ROOT / "src" / "finewave").glob("*/__init__.py")))
def test_a_room_has_tests(package: Path) -> None:
    assert list((ROOT / "tests" / package.name).rglob("test_*.py"))


def test_the_version_stands_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "src/finewave/__init__.py"
    for name in ("pyproject.toml", "CITATION.cff", "mkdocs.yml"):
        assert finewave.__version__ not in (ROOT / name).read_text(encoding="utf-8").split('"'), name


def test_the_core_depends_on_what_it_imports_alone() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = {re.split(r"[\[>]", name)[0] for name in project["dependencies"]} - {"h5netcdf"}  # an engine of xarray
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    imported = set(re.findall(r"^ *(?:import|from) (\w+)", source, re.MULTILINE))
    assert {{"pyyaml": "yaml", "pillow": "PIL"}.get(name, name) for name in core} <= imported
