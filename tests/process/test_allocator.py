"""Freed memory: given back to the system as glibc has it, or kept for the tensors that come."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from finewave.errors import InputError
from tests.cli.command_line import assert_refused, run

GLIBC = platform.libc_ver()[0] == "glibc"
WHAT_IS_LEFT = """
import numpy, sys
from pathlib import Path
from finewave.process.allocator import keep_freed_memory, return_large_blocks

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

kept = keep_freed_memory() if sys.argv[1] in ("keep", "bound") else None
if sys.argv[1] in ("bound", "unasked"):
    return_large_blocks()
if sys.argv[1] == "worker":
    import finewave.inference.machine.process_entry
before = resident()
block = numpy.ones(16 * 2**20)  # 128 MiB
assert resident() - before > 120 * 2**20
del block
print(kept, (resident() - before) // 2**20)
"""


def what_is_left(how: str, **environment: str) -> tuple[str, int]:
    """Return what ``keep_freed_memory`` said and how many of 128 freed MiB the process still has."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    done = subprocess.run(
        [sys.executable, "-c", WHAT_IS_LEFT, how],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    said, left = done.stdout.split()
    return said, int(left)


@pytest.mark.skipif(not GLIBC, reason="an allocator of another kind")
@pytest.mark.parametrize(("how", "answer"), [("keep", "True"), ("worker", "None")])
def test_freed_memory_is_kept(how: str, answer: str) -> None:
    said, left = what_is_left(how)
    assert said == answer
    assert left > 120


@pytest.mark.skipif(not GLIBC, reason="an allocator of another kind")
@pytest.mark.parametrize("how", ["leave", "bound", "unasked"])
def test_freed_memory_is_given_back_unless_asked(how: str) -> None:
    """Or where a network in one piece then asks for the opposite."""
    assert what_is_left(how)[1] < 8


@pytest.mark.parametrize(
    "environment",
    [{"MALLOC_ARENA_MAX": "4"}, {"GLIBC_TUNABLES": "glibc.malloc.mmap_max=65536"}],
    ids=["variable", "tunable"],
)
def test_what_the_environment_says_goes_first(environment: dict[str, str]) -> None:
    said, left = what_is_left("keep", **environment)
    assert said == "False"
    assert left < 8


@pytest.mark.parametrize(
    "line",
    [
        "train jssunet-cave-x4-short",
        "fit scene.tif --sensor ikonos --scale 2 -o out",
        "predict scene.tif -o out.tif --model jssunet-cave-x4",
        "evaluate --model jssunet-cave-x4 --dataset cave",
        "demo",
        "study table2 --datasets cave --scales 4 --recipes short",
    ],
    ids=lambda line: line.split()[0],
)
def test_commands_that_compute_keep_it(line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before they do anything else."""
    monkeypatch.chdir(tmp_path)
    command = line.split()[0]

    def stop() -> NoReturn:
        raise InputError("kept")

    monkeypatch.setattr(sys.modules[f"finewave.cli.{command}"], "keep_freed_memory", stop)
    assert_refused(run(*line.split()), "kept")
