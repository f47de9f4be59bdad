"""A few moments of ``make kills``, which has the whole matrix."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forked")
@pytest.mark.parametrize(
    ("job", "kinds"),
    [
        ("predict, one tile", ["SIGKILL", "SIGTERM", "full disk", "second run"]),
        ("predict, threads", ["SIGKILL", "SIGTERM", "SIGINT", "full disk", "second run"]),
        ("data prepare", ["SIGKILL", "SIGTERM", "full disk", "second run"]),
        ("train", ["SIGKILL", "SIGTERM", "full disk", "second run"]),
    ],
)
def test_killed_or_without_room_the_same_command_makes_the_same(job: str, kinds: list[str]) -> None:
    """In a process of its own: pytest's has threads, which a fork would lose."""
    command = [sys.executable, "-m", "tests.kills.campaign", "--moments", "1", "--jobs", job, "--kinds", *kinds]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
