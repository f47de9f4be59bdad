"""The fork server runs a program as a process of its own would, and says how it ended."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.fork_server import ForkServer


def test_a_program_has_its_own_arguments_folder_and_environment(fork_server: ForkServer, tmp_path: Path) -> None:
    code = "import os, sys; print(sys.argv, os.getcwd(), os.environ['SAID'], sys.stdin.read()); sys.exit(3)"
    done = fork_server.run(code, "word", tmp_path, env=os.environ | {"SAID": "so"}, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout == f"{['-c', 'word', str(tmp_path)]} {tmp_path.resolve()} so \n"


def test_variables_that_python_reads_when_it_starts_have_their_effect(fork_server: ForkServer, tmp_path: Path) -> None:
    code = "import os, sys; print(sys.flags.optimize, 'numpy' in sys.modules, os.getcwd(), sys.stdin.read())"
    assert fork_server.run(code, cwd=tmp_path).stdout == f"0 True {tmp_path.resolve()} \n"
    done = fork_server.run(code, env=os.environ | {"PYTHONOPTIMIZE": "1"}, cwd=tmp_path)
    assert done.stdout == f"1 False {tmp_path.resolve()} \n", done.stderr


def test_what_changes_here_changes_for_its_programs(
    fork_server: ForkServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = "import os, sys; print('numpy' in sys.modules, os.environ.get('DASK_OF_A_TEST'))"
    assert fork_server.run(code, cwd=tmp_path).stdout == "True None\n"
    monkeypatch.setenv("DASK_OF_A_TEST", "1")
    assert fork_server.run(code, cwd=tmp_path).stdout == "True 1\n"


def test_how_it_ended_is_told(fork_server: ForkServer) -> None:
    failed = fork_server.run("print('before'); 1 / 0")
    assert (failed.returncode, failed.stdout) == (1, "before\n")
    assert "ZeroDivisionError" in failed.stderr
    assert fork_server.run("import os; os.kill(os.getpid(), 9)").returncode == -signal.SIGKILL


def test_finewave_is_imported_anew(fork_server: ForkServer) -> None:
    code = "import sys, finewave.warnings; print(len([name for name in sys.modules if name.startswith('finewave')]))"
    before, again = (fork_server.run(code).stdout for _ in range(2))
    assert before == again
    assert int(before) < 10


@pytest.mark.slow
def test_a_program_is_ended_with_its_test(fork_server: ForkServer, tmp_path: Path) -> None:
    """As by a limit of time: what waits for ever does not outlive the test."""

    class OverError(Exception):
        pass

    def over(*_: object) -> None:
        raise OverError

    held = tmp_path / "held"
    os.mkfifo(held)
    reading = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    code = "import os, signal, sys; held = open(sys.argv[1], 'w'); os.kill(int(sys.argv[2]), signal.SIGUSR1)"
    before = signal.signal(signal.SIGUSR1, over)
    try:
        with pytest.raises(OverError):
            fork_server.run(f"{code}; signal.pause()", held, str(os.getpid()))
        os.set_blocking(reading, True)
        assert os.read(reading, 1) == b""  # its end closed what it held
    finally:
        signal.signal(signal.SIGUSR1, before)
        os.close(reading)
    assert fork_server.run("print('again')").stdout == "again\n"
