"""Programs in processes of their own that begin with the large libraries imported, which alone takes seconds.

finewave itself is imported by each program anew. What is about imports, memory or the start of a program is run by
`subprocess` as usual.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
LIBRARIES = ("dask.array", "h5netcdf", "rasterio", "scipy.ndimage", "torch", "xarray", "zarr", "numba", "lightning")


AT_THE_START = (
    *("ATEN_", "DASK_", "DNNL_", "GDAL_", "GLIBC_", "KMP_", "LD_", "MALLOC_", "MKL_", "NUMBA_", "OMP_", "ONEDNN_"),
    *("OPENBLAS_", "PYTHON", "TORCH"),
)
"""Beginnings of the variables that Python and the libraries look at once, when they are loaded."""


class ForkServer:
    """A process, started when it is first asked, that runs each program in a fork of itself."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None
        self._environment: dict[str, str] = {}

    def run(
        self, code: str, *arguments: str | Path, env: dict[str, str] | None = None, cwd: str | Path = ROOT
    ) -> subprocess.CompletedProcess[str]:
        """Do what ``subprocess.run([sys.executable, "-c", code, *arguments])`` does, output and errors captured.

        Just that is done where a variable of `AT_THE_START` is not as it is here; where it has changed here since the
        server began, another server does. ``OMP_NUM_THREADS`` is for PyTorch alone.
        """
        environment = dict(os.environ if env is None else env)
        words = [*map(str, arguments)]
        if at_the_start(self._environment) != at_the_start(os.environ):
            self.close()
        if at_the_start(environment) != at_the_start(os.environ):
            command = [sys.executable, "-c", code, *words]
            return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False,
                                  stdin=subprocess.DEVNULL)  # fmt: skip
        with TemporaryDirectory() as folder:
            paths = [Path(folder) / name for name in ("output", "errors")]
            job = {"code": code, "arguments": words, "environment": environment, "folder": str(cwd)}
            try:
                status = self._ask({**job, "streams": [*map(str, paths)]})
            except BaseException:  # the test's time is over, say: the answer is for nobody else
                self.close()
                raise
            output, errors = (path.read_text(encoding="utf-8") for path in paths)
        return subprocess.CompletedProcess(words, status, output, errors)

    def _ask(self, job: dict[str, object]) -> int:
        if self._server is None:
            command = [sys.executable, "-m", "tests.fork_server"]
            self._environment = dict(os.environ)
            environment = os.environ | {"OMP_NUM_THREADS": "1"}  # a process with several threads cannot be forked
            streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            self._server = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, **streams)
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(f"{json.dumps(job)}\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    def close(self) -> None:
        """End the server, and the program that it may be waiting for."""
        if self._server is not None:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.communicate()
            self._server = None


def at_the_start(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that have an effect at the start alone; but for the one that is set again."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(AT_THE_START) and name != "OMP_NUM_THREADS"
    }


def serve() -> None:
    """Run each program whose description comes as a line of JSON; answer with a line of its exit code."""
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()  # no program's collector need look through what was imported here
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            become(json.loads(line))
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def become(job: dict[str, object]) -> None:
    """Turn this process into the one that a program expects, and run the program."""
    import torch

    code, arguments, environment, folder, streams = (
        job[key] for key in ("code", "arguments", "environment", "folder", "streams")
    )
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    torch.set_num_threads(int(environment.get("OMP_NUM_THREADS", "1")))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in enumerate(streams, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    sys.argv, sys.path[0] = ["-c", *arguments], ""
    program = sys.modules["__main__"] = types.ModuleType("__main__")
    exec(compile(code, "<string>", "exec"), program.__dict__)


if __name__ == "__main__":
    serve()
