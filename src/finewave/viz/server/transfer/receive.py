"""Conversion of uploads to finewave's own files in a process with limits; the server never parses uploads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from finewave.errors import InputError
from finewave.warnings import FinewaveWarning

_SECONDS = 120.0
_ALONE = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no files beside it
    "GDAL_HTTP_TIMEOUT": "1",
    "HDF5_USE_FILE_LOCKING": "FALSE",
    "OMP_NUM_THREADS": "1",
}


def receive(source: Path, target: Path, largest_side: int, is_cancelled: Callable[[], bool]) -> list[str]:
    """Write the scene of an upload as a GeoTIFF, and return the warnings.

    Parameters
    ----------
    source : pathlib.Path
        The upload.
    target : pathlib.Path
        ``.tif``, to be written.
    largest_side : int
        Maximum rows or columns.
    is_cancelled : callable
        Polled for cancellation.

    Raises
    ------
    InputError
        It cannot be read, is too large, or took too long.
    """
    arguments = str(source), str(target), str(largest_side)
    return list(answer_of("finewave.viz.server.transfer.receive", source, arguments, is_cancelled)["notes"])


def answer_of(
    module: str, source: Path, arguments: tuple[str, ...], is_cancelled: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
    """Return the answer of a module that reads an upload in a process of its own.

    Parameters
    ----------
    module : str
        Its ``main`` limits itself and prints JSON: ``refused`` or what it has found. The folder of the upload is left
        out of its texts.
    source : pathlib.Path
        The upload.
    arguments : tuple of str
        Of the module.
    is_cancelled : callable
        Polled for cancellation.

    Raises
    ------
    InputError
        It refuses the upload, took too long, or has crashed.
    """
    command = [sys.executable, "-m", module, *arguments]
    environment = os.environ | _ALONE | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    deadline = time.monotonic() + _SECONDS
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        while True:
            try:
                output, _ = process.communicate(timeout=0.1)
                break
            except subprocess.TimeoutExpired:
                if is_cancelled() or time.monotonic() > deadline:
                    process.kill()
    if not output:
        why = "took too long" if process.returncode in (-signal.SIGXCPU, -signal.SIGKILL) else "ended its reader"
        raise InputError(f"cannot read {source.name}: the file is damaged, it {why}")
    folder = json.dumps(f"{source.parent}{os.sep}")[1:-1]
    answer: dict[str, Any] = json.loads(output.decode().replace(folder, ""))
    if "refused" in answer:
        raise InputError(str(answer["refused"]))
    return answer


def main(source: str, target: str, largest_side: str) -> None:
    """Do it, here, in the process with limits."""
    from finewave.io.isolated.child import limit
    from finewave.io.open_save import load_scene, open_scene, save_scene

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FinewaveWarning)
        try:
            limit(Path(source).stat().st_size + 5 * 10**8)  # half a minute of CPU time, and memory for the copy
            scene = open_scene(source)
            if max(scene.sizes["y"], scene.sizes["x"]) > int(largest_side):
                raise InputError(
                    f"{source} has {scene.sizes['x']} x {scene.sizes['y']} pixels; the page takes up to "
                    f"{largest_side} per side: use finewave predict"
                )
            scene.close()
            scene = load_scene(source)
            scene.encoding = {key: value for key, value in scene.encoding.items() if key == "grid_mapping"}
            save_scene(scene, target)
        except InputError as error:
            print(json.dumps({"refused": str(error)}))
            return
        except MemoryError:
            print(
                json.dumps({"refused": f"cannot read {source}: it asks for more memory than a file of its size should"})
            )
            return
    notes = [str(each.message) for each in caught if issubclass(each.category, FinewaveWarning)]
    print(json.dumps({"notes": list(dict.fromkeys(notes))}))


if __name__ == "__main__":
    main(*sys.argv[1:])
