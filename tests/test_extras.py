"""Packages of extras: a missing one is refused in one line, before any work."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

import finewave
from finewave import extras
from finewave.cli import main
from finewave.errors import InputError

ROOT = Path(__file__).parents[1]


def without(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name == package else find(name, *rest))


def test_every_extra_exists_and_its_packages_are_installed_here() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(extras.PACKAGES) <= set(project["optional-dependencies"])
    for extra in extras.PACKAGES:
        extras.check_extra(extra, "this test")


def test_a_message_names_what_installs() -> None:
    named = set()
    for file in (ROOT / "src").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        named |= set(re.findall(r'(?:check_extra|importing|how_to_install)\(["\']([a-z]+)["\']', text))
        named |= set(re.findall(r'missing_package\(.*, "([a-z]+)"\)', text))
    assert named == set(extras.PACKAGES)


@pytest.mark.parametrize(
    ("version", "command"),
    [("0.2.0.dev0", "pip install -e '.[view]' in a clone of finewave"), ("0.2.0", "pip install 'finewave[view]'")],
)
def test_a_release_is_installed_from_the_index(version: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finewave, "__version__", version)
    assert extras.how_to_install("view") == command


@pytest.mark.parametrize(
    ("package", "command"),
    [
        ("bokeh", ["view", "x.tif"]),
        ("bokeh", ["report", "x.tif", "-o", "page.html"]),
        ("matplotlib", ["figure", "x.tif", "-o", "figure.png"]),
        ("matplotlib", ["demo"]),
        ("lightning", ["train", "mstpp-cave-short"]),
        ("lightning", ["fit", "x.tif", "--scale", "2", "--sensor", "srgb", "-o", "model"]),
    ],
)
def test_before_any_work(package: str, command: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.tif").write_bytes(b"")
    without(package, monkeypatch)
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2
    expected = rf"error: .* needs the package {package}, which is not installed: pip install .*\n"
    assert re.fullmatch(expected, done.stderr)
    assert [file.name for file in tmp_path.iterdir()] == ["x.tif"]


def test_another_import_error_is_not_hidden() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"), extras.importing("view", "the viewer"):
        import no_such_module  # noqa: F401


def test_the_first_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    without("onnxscript", monkeypatch)
    with pytest.raises(InputError, match="ONNX export needs the package onnxscript"):
        extras.check_extra("export", "ONNX export")
