"""Where things stand: tests mirror the source tree, and a fact of the package stands once."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

import finewave
from finewave.io import open_save, products

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


SOURCE = ROOT / "src" / "finewave"
MODULES = sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.py"))
# names that the articles of several systems use, each for a part of its own network
PARTS_OF_NETWORKS = {"Encoder", "Decoder", "FeedForward"}
# one job in several packages: the contract and the list of names of a package; an instrument, whose files and whose
# data set are read in two places
SAME_JOB = {"__init__", "base", "registry", "enmap"}


def repeated(names: Iterable[tuple[str, Path]]) -> dict[str, list[str]]:
    """Return the names that occur in more than one place, with the places."""
    places: dict[str, list[str]] = {}
    for name, path in names:
        places.setdefault(name, []).append(path.as_posix())
    return {name: found for name, found in places.items() if len(found) > 1}


def has_own_name(path: Path) -> bool:
    """Return whether a module's name must occur once: not a command, named like what it calls, nor a system's part."""
    if path.parts[0] == "cli":
        return ".command(" not in (SOURCE / path).read_text(encoding="utf-8")
    return not re.fullmatch(r"systems/\w+/(network|phases|phase_options|reference)\.py", path.as_posix())


def test_a_class_has_a_name_of_its_own() -> None:
    classes = [
        (node.name, path)
        for path in MODULES
        for node in ast.walk(ast.parse((SOURCE / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    assert not repeated((name, path) for name, path in classes if name not in PARTS_OF_NETWORKS)
    assert {path.parts[0] for name, path in classes if name in PARTS_OF_NETWORKS} == {"systems"}


def test_a_module_has_a_name_of_its_own() -> None:
    assert not repeated((path.stem, path) for path in MODULES if path.stem not in SAME_JOB and has_own_name(path))


def test_no_folder_holds_more_than_fifteen_modules() -> None:
    """Commands are a list of like things: one file each."""
    inside: dict[Path, list[Path]] = {}
    for path in MODULES:
        if path.stem != "__init__":
            inside.setdefault(path.parent, []).append(path)
    assert {folder.as_posix(): len(found) for folder, found in inside.items() if len(found) > 15}.keys() <= {"cli"}
    shared = [path.stem for path in inside[Path("cli")] if has_own_name(path)]
    assert set(shared) <= {"program"}, f"{shared}: what commands share stands in cli/terminal/"


def test_what_opens_files_by_name_is_there() -> None:
    """Formats and products are imported when first used, by their module's name."""
    modules = [f"io/formats/{each.module}.py" for each in (*open_save.FORMATS, *open_save.READ_ONLY, open_save._XARRAY)]
    modules += [f"io/products/{each.module}.py" for each in products.PRODUCTS]
    assert [each for each in modules if not (SOURCE / each).is_file()] == []
