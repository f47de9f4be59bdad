"""One run for each output, and what a run that was killed leaves."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from finewave.errors import InputError
from finewave.io.atomic import atomic_output
from finewave.io.sole_writer import lock_file, sole_writer

HOLD = """
import sys, time
from pathlib import Path
from finewave.io.atomic import atomic_output
from finewave.io.sole_writer import sole_writer
with sole_writer(Path(sys.argv[1])), atomic_output(sys.argv[1]) as temporary:
    temporary.write_text("half")
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other(tmp_path: Path):
    """Another process that is writing ``out``."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "out")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def write(path: Path) -> None:
    with sole_writer(path), atomic_output(path) as temporary:
        temporary.write_text("whole")


def test_the_second_is_refused_and_a_killed_one_is_cleared_away(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match=rf"another run is writing {re.escape(str(out))}; .*{lock_file(out).name}"):
        write(out)
    with atomic_output(out) as temporary:  # what is in use is left alone
        temporary.write_text("of a third")
    assert len([each for each in tmp_path.iterdir() if each.is_dir()]) == 1
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert len(list(tmp_path.iterdir())) == 3  # lock, half an output, and the third's
    write(out)
    assert [each.name for each in tmp_path.iterdir()] == ["out"]
    assert out.read_text() == "whole"


def test_a_lock_of_another_machine_is_not_broken(tmp_path: Path) -> None:
    """As it looks on a file system of the network: the process of that number is no process of ours."""
    out = tmp_path / "out"
    lock_file(out).write_text(f"{os.getpid()}\nsome-other-machine\n")
    with pytest.raises(InputError, match="on whichever machine, remove"):
        write(out)
    lock_file(out).unlink()
    write(out)


def test_one_process_is_no_exception(tmp_path: Path) -> None:
    with sole_writer(tmp_path / "out"), pytest.raises(InputError, match="another run"):
        write(tmp_path / "out")
    write(tmp_path / "out")


def test_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*out"):
        write(tmp_path / "none" / "out")


def test_folders_of_other_names_stay(tmp_path: Path) -> None:
    """Only what this program makes for the same output is cleared away."""
    kept = [".out.unfinished", ".out.settings", ".out.finewave-abc", "out.finewave-abcdefgh", ".a.finewave-abcdefgh"]
    for name in kept:
        (tmp_path / name).mkdir()
    (tmp_path / ".out.finewave-abcdefgh").mkdir()
    write(tmp_path / "out")
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([*kept, "out"])
