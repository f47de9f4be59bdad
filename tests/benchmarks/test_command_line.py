"""Every measurement that a page names is described by ``--help``, which begins none."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from benchmarks.command_line import names_and_flags
from tests.fork_server import ForkServer

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "Makefile", *sorted((ROOT / "docs").rglob("*.md"))]
NAMED = sorted({name for page in PAGES for name in re.findall(r"-m (benchmarks\.\w+)", page.read_text("utf-8"))})


def test_pages_name_measurements() -> None:
    assert {"benchmarks.halos", "benchmarks.install", "benchmarks.audit"} <= set(NAMED)


@pytest.mark.parametrize("module", NAMED)
def test_help_describes_it(module: str, fork_server: ForkServer) -> None:
    program = "import runpy, sys; sys.path.insert(0, '.'); runpy.run_module(sys.argv.pop(1), run_name='__main__')"
    done = fork_server.run(program, module, "--help", cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith(("usage: ", "Usage: "))
    assert len(done.stdout) > 120


def test_names_and_flags_are_those_that_were_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["measure", "a", "--write", "b"])
    assert names_and_flags("What it does.", "--write", "--check", names="MODEL") == ["a", "b", "--write"]
    monkeypatch.setattr(sys, "argv", ["measure", "--wirte"])
    with pytest.raises(SystemExit) as ended:
        names_and_flags("What it does.", "--write", names="MODEL")
    assert ended.value.code == 2
    assert "--wirte" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["measure"])
    assert names_and_flags("What it does.") == []
