"""Commands as forked processes: started, measured, ended."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from tests.kills.jobs import Job

PATIENCE = 900.0  # seconds for a run or its end: a machine may be busy
CHILDREN_S = 90.0
LOOK_S = 0.02  # seldom enough to cost nothing beside a command that waits for a processor
_AT_START = {signal.SIGINT, signal.SIGTERM}


def _become(job: Job, inputs: Path, folder: Path, log: str, limit: int | None) -> NoReturn:
    """Be the command line in a forked process."""
    status = 1
    try:
        os.setpgid(0, 0)
        words = job.words(inputs, folder / "outputs")
        os.environ["FINEWAVE_PREPARED"] = str(folder / "outputs" if job.prepares else inputs / "prepared")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        written = os.open(folder / log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        os.dup2(written, 1)
        os.dup2(written, 2)
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _AT_START)
        from finewave.cli import main

        main(words)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException as error:  # Python's own end of a program that a signal meets before it is ready
        print(f"error: {type(error).__name__}", file=sys.stderr)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(status)


def start(job: Job, inputs: Path, folder: Path, limit: int | None = None, log: str = "log") -> int:
    """Start a command; return its process, which leads a group of its own.

    Signals wait until the child is the command: before, they would end a copy of this program, and with it its files.
    """
    sys.stdout.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, _AT_START)
    pid = os.fork()
    if pid == 0:
        _become(job, inputs, folder, log, limit)
    with suppress(OSError):  # the child does it, too: whoever is first
        os.setpgid(pid, pid)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _AT_START)
    return pid


def members(group: int) -> list[int]:
    """Return the processes of a group that are not over; one that nobody has waited for yet is over."""
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - it is asked for hundreds of times in a run
        with suppress(OSError, ValueError):
            if os.getpgid(int(name)) == group and _state(name) not in "ZX":
                found.append(int(name))
    return found


def _state(pid: str) -> str:
    return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0]


def processor_time(group: int) -> float:
    """Return the seconds of processor time that the processes of a group have used."""
    total = 0.0
    for pid in members(group):
        with suppress(OSError):
            total += time.clock_gettime((~pid << 3) | 2)  # Linux: the clock of another process
    return total


def over(pid: int) -> bool:
    """Whether a process of ours has ended; it can still be waited for."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def wait_until_used(pid: int, seconds: float) -> None:
    """Wait until a command has used an amount of processor time, or has ended.

    A moment told by the clock on the wall would come too early or after the end where others use the machine.
    """
    until = time.monotonic() + PATIENCE
    while not over(pid) and processor_time(pid) < seconds and time.monotonic() < until:
        time.sleep(LOOK_S)


def end_of(pid: int) -> int:
    """Return the exit status of a process, negative for a signal; and end it if it does not."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(LOOK_S)
    send(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return -999


def measured_end_of(pid: int) -> tuple[int, float]:
    """Return the exit status of a process, and the processor time its group was last seen to have used."""
    used = 0.0
    until = time.monotonic() + PATIENCE
    while not over(pid) and time.monotonic() < until:
        used = max(used, processor_time(pid))
        time.sleep(LOOK_S)
    return end_of(pid), used


def send(group: int, number: signal.Signals) -> None:
    """Send a signal to a group, which may be over meanwhile."""
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def children_of(group: int) -> bool:
    """Whether processes of a group are left after a while; they are ended then."""
    until = time.monotonic() + CHILDREN_S
    while members(group):
        if time.monotonic() > until:
            send(group, signal.SIGKILL)
            return True
        time.sleep(0.05)
    return False
