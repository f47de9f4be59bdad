"""``finewave view``: what it refuses, how it begins and ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest

from finewave.io.open_save import save_scene
from finewave.scene import make_scene
from tests.cli.command_line import assert_refused, run


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "out.tif"
    save_scene(make_scene(np.random.default_rng(0).random((4, 8, 12)), [450, 550, 650, 700]), path)
    return path


def test_missing_file(tmp_path: Path) -> None:
    assert_refused(run("view", tmp_path / "nowhere.tif", "--no-browser"), "no such file", "nowhere.tif")


def test_a_file_that_is_no_scene(tmp_path: Path, scene: Path) -> None:
    text = tmp_path / "text.tif"
    text.write_text("this is not an image\n" * 20)
    assert_refused(run("view", text, "--no-browser"), "text.tif")
    assert_refused(run("view", scene, "--input", text, "--no-browser"), "text.tif")


def test_a_reference_of_another_size_or_other_bands(tmp_path: Path, scene: Path) -> None:
    save_scene(make_scene(np.ones((4, 8, 11)), [450, 550, 650, 700]), tmp_path / "narrow.tif")
    refused = run("view", scene, "--reference", tmp_path / "narrow.tif", "--no-browser")
    assert_refused(refused, "narrow.tif", "11 x 8", "12 x 8")
    save_scene(make_scene(np.ones((3, 8, 12))), tmp_path / "fewer.tif")
    assert_refused(run("view", scene, "--reference", tmp_path / "fewer.tif", "--no-browser"), "3 bands", "has 4")


def test_an_input_of_another_shape(tmp_path: Path, scene: Path) -> None:
    save_scene(make_scene(np.ones((3, 3, 4))), tmp_path / "odd.tif")
    assert_refused(run("view", scene, "--input", tmp_path / "odd.tif", "--no-browser"), "odd.tif", "4 x 3")


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_ports_that_are_none(port: str, scene: Path) -> None:
    assert_refused(run("view", scene, "--port", port, "--no-browser"), "--port", port)


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_port_in_use(scene: Path, busy_port: int) -> None:
    refused = run("view", scene, "--port", str(busy_port), "--no-browser")
    assert_refused(refused, f"port {busy_port} is in use", "--port")


def test_a_host_that_is_not_here(scene: Path) -> None:
    assert_refused(run("view", scene, "--host", "192.0.2.1", "--port", "0", "--no-browser"), "192.0.2.1")


def test_models_that_are_none(scene: Path, tmp_path: Path) -> None:
    assert_refused(run("view", scene, "--model", tmp_path / "none", "--no-browser"), "none")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminated"])
def test_it_serves_this_machine_until_it_is_stopped(number: signal.Signals, scene: Path, tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary")}
    (tmp_path / "temporary").mkdir()
    command = [sys.executable, "-m", "finewave", "view", str(scene), "--port", "0", "--no-browser"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[0]
        assert address.startswith("http://127.0.0.1:")
        page = urlopen(address, timeout=60).read().decode()
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert "out.tif" in page
    assert "https://" not in page
    assert process.returncode == 0
    assert errors == ""
    assert list((tmp_path / "temporary").iterdir()) == []
