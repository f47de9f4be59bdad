"""Client of the reader process (`finewave.io.isolated.child`); its failures become errors of one line."""

from __future__ import annotations

import atexit
import json
import math
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.io.isolated.child import BYTES_A_SECOND

_START_SECONDS = 120.0
_WALL_SECONDS = 60.0
"""Timeout in seconds, long enough for busy machines; hanging files are ended by `RLIMIT_CPU`."""


class _Ended(Exception):  # noqa: N818 - converted to another exception for the user
    """The process ended or does not answer; the message says why."""


class IsolatedReader:
    """A reader process, started on first use and restarted after a crash."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def ask(self, task: str, path: Path, kind: str, *arguments: str) -> tuple[dict[str, Any], bytes]:
        """Return the answer to a task about a file, with its bytes.

        Raises
        ------
        InputError
            The file leads to other files, or has ended the process: by a crash, or by computing for too long.
        ValueError
            The library has refused it.
        """
        with self._lock:
            try:
                answer, content = self._asked(task, path, *arguments)
            except _Ended as error:
                self.close()
                raise InputError(f"cannot read {path} as {kind}: the file is damaged ({error})") from error
        if "elsewhere" in answer:
            raise InputError(f"{path} does not hold its own values: {answer['elsewhere']}; copy them into one file")
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer, content

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        process.communicate()

    def _asked(self, task: str, path: Path, *arguments: str) -> tuple[dict[str, Any], bytes]:
        if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
            self._start()
        request = json.dumps({"task": task, "arguments": [str(path.absolute()), *arguments]}).encode() + b"\n"
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(request)
            self._process.stdin.flush()
        except OSError:
            raise _Ended(self._why()) from None
        return self._answer(_WALL_SECONDS + 2 * path.stat().st_size / BYTES_A_SECOND)

    def _start(self) -> None:
        import h5py  # noqa: F401 - a missing one is said here; there it would look like a crash
        import scipy  # noqa: F401 - a missing one is said here; there it would look like a crash

        self._owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "finewave.io.isolated.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is handled by the parent
        )
        self._answer(_START_SECONDS)

    def _answer(self, seconds: float) -> tuple[dict[str, Any], bytes]:
        assert self._process is not None
        assert self._process.stdout is not None
        deadline = time.monotonic() + seconds
        handle = self._process.stdout.fileno()
        received = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(handle, selectors.EVENT_READ)

            def more() -> None:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise _Ended(f"reading it took longer than {seconds:.0f} s")
                piece = os.read(handle, 2**20)
                if not piece:
                    raise _Ended(self._why())
                received.extend(piece)

            while b"\n" not in received:
                more()
            line, _, rest = bytes(received).partition(b"\n")
            answer = json.loads(line)
            received = bytearray(rest)
            while len(received) < answer.get("bytes", 0):
                more()
        return answer, bytes(received)

    def _why(self) -> str:
        assert self._process is not None
        code = self._process.wait(10)
        if code == -signal.SIGXCPU:
            return "the library that reads it did not come back"
        if code < 0:
            return f"the library that reads it crashed, {signal.Signals(-code).name}"
        return "the process that reads it has ended"


_CAGE = IsolatedReader()
atexit.register(_CAGE.close)


def probe_hdf5(path: Path) -> None:
    """Let the reader process visit an HDF5 file first.

    Raises
    ------
    InputError
        The library would crash, hang or fill the memory, or the file leads to other files.
    """
    facts = path.stat()
    _probed(str(path.absolute()), facts.st_mtime_ns, facts.st_size, facts.st_ino)


@lru_cache(maxsize=256)
def _probed(path: str, *facts: int) -> None:
    try:
        _CAGE.ask("probe_hdf5", Path(path), "HDF5 file")
    except InputError:
        raise
    except ValueError:  # the actual reader will raise the same error with a better message
        return


def list_mat5(path: Path) -> list[tuple[str, tuple[int, ...], str]]:
    """Return name, shape and class of the variables of a MATLAB 5 file."""
    answer, _ = _CAGE.ask("list_mat5", path, "MATLAB file")
    return [(name, tuple(shape), kind) for name, shape, kind in answer["variables"]]


def load_mat5(path: Path, name: str) -> dict[str, NDArray[Any]]:
    """Return a variable of a MATLAB 5 file by its name; of a struct its fields by their paths.

    Numbers and texts; an array of empty objects of the same shape for anything else.
    """
    answer, content = _CAGE.ask("load_mat5", path, "MATLAB file", name)
    arrays: dict[str, NDArray[Any]] = {}
    start = 0
    for each in answer["arrays"]:
        shape = tuple(each["shape"])
        if "dtype" in each:
            dtype = np.dtype(each["dtype"])
            count = math.prod(shape)
            arrays[each["name"]] = np.frombuffer(content, dtype, count, start).reshape(shape)
            start += count * dtype.itemsize
        elif "texts" in each:
            arrays[each["name"]] = np.asarray(each["texts"], dtype=str).reshape(shape)
        else:
            arrays[each["name"]] = np.broadcast_to(np.asarray(None, object), shape)
    return arrays
