"""Ctrl-C in the middle of long work: one line, status 1, nothing under the output's name, and work that goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import finewave as fw
from finewave.scene import make_scene
from tests.training.conftest import overrides, small_store  # noqa: F401 - fixtures

PATIENCE = 120.0


def interrupted(words: list[str], begun: Callable[[], bool]) -> tuple[int, str]:
    """Run a command until it has begun its work, interrupt it as a terminal does; return status and error stream."""
    process = subprocess.Popen(
        [sys.executable, "-m", "finewave", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    until = time.monotonic() + PATIENCE
    while not begun() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    assert process.poll() is None, "it was over before it could be interrupted"
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, errors


def has_grandchild() -> bool:
    """Whether a process that this one started has one of its own."""
    import psutil

    return any(child.children() for child in psutil.Process().children())


def assert_stopped(status: int, errors: str) -> None:
    assert status == 1, errors
    assert "Traceback" not in errors, errors
    assert errors.rstrip().endswith("error: interrupted"), errors
    assert "stopping; press Ctrl-C again to stop immediately" in errors


@pytest.mark.slow
def test_predict(tiny_weights: Path, tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((3, 256, 256), dtype=np.float32)
    fw.save_scene(make_scene(values, wavelengths=[600.0, 540.0, 460.0]), tmp_path / "scene.tif")
    output, unfinished = tmp_path / "out.tif", tmp_path / ".out.tif.unfinished"
    words = ["predict", str(tmp_path / "scene.tif"), "-o", str(output), "--model", str(tiny_weights), "--tile", "16"]
    assert_stopped(*interrupted(words, lambda: any(unfinished.glob("done/*"))))
    assert not output.exists()
    assert any(unfinished.glob("done/*")), "finished tiles are kept"


@pytest.mark.slow
def test_train(overrides: list[str], tmp_path: Path) -> None:  # noqa: F811
    words = ["train", "jssunet-cave-x4", *overrides, "phase1.steps=100000"]
    checkpoint = tmp_path / "run" / "phase1" / "last.ckpt"
    assert_stopped(*interrupted(words, checkpoint.exists))
    assert not (tmp_path / "run" / "phase1" / "done").exists()
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.slow
def test_bench_and_its_own_processes(tmp_path: Path) -> None:
    output = tmp_path / "figures.json"
    words = ["bench", "--quick", "--only", "forward,train", "--json", str(output)]
    assert_stopped(*interrupted(words, has_grandchild))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("signals", [1, 2])
def test_the_second_stops_at_once(signals: int, tmp_path: Path) -> None:
    """A command that takes long to stop: here it sleeps while it is being stopped."""
    code = (
        "import click, time\nfrom finewave.cli import main\n"
        "@main.command()\n"
        "def slow():\n"
        "    try:\n        print('begun', flush=True); time.sleep(60)\n"
        f"    finally:\n        time.sleep({60 if signals == 2 else 0})\n"
        "main(['slow'])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    lines = [process.stderr.readline()]
    if signals == 2:
        process.send_signal(signal.SIGINT)
    lines += process.stderr.readlines()
    assert process.wait(timeout=30) == 1
    assert [line for line in lines if line.strip()] == [
        "stopping; press Ctrl-C again to stop immediately\n",
        "error: interrupted\n",
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_import_that_a_signal_cuts_short(number: int) -> None:
    """SciPy answers with an ImportError of its own."""
    program = f"""
import os, signal, sys
from finewave.cli.program import Program

program = Program("finewave")

@program.command()
def work():
    try:
        os.kill(os.getpid(), {int(number)})
        for _ in range(10**9): pass
    except BaseException as error:
        raise ImportError("the build of a library is broken") from error

program.main(["work"])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert_stopped(done.returncode, done.stderr)
