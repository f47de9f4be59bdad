"""From start to file: ``python -m benchmarks.start [MODEL] [--scenes N]``, processor time of the whole command.

A made scene of 128 x 128 pixels goes through ``finewave predict``, `RUNS` times in processes of their own; with
``--scenes`` as many in one command. Processor time: that of a clock depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.scene_run import shipped, write_scene

RUNS = 5
SIZE = (128, 128)


def processor_seconds(command: list[str]) -> float:
    """Return the user and system time of a command, which must succeed."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"it failed: {' '.join(command)}")
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print the least and the median of the runs, and what loading the libraries alone takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="jssunet-cave-x4")
    parser.add_argument("--scenes", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="finewave-start-") as folder:
        sources = [str(Path(folder) / f"scene{number}.tif") for number in range(given.scenes)]
        for source in sources:
            write_scene(Path(source), SIZE, shipped(given.model)[2])
        target = str(Path(folder) / ("result.tif" if given.scenes == 1 else "results"))
        predict = [sys.executable, "-m", "finewave", "predict", *sources, "-o", target, "--model", given.model]
        load = [sys.executable, "-c", "import torch, xarray, dask.array, rioxarray"]
        for what, command in (("the whole command", predict), ("libraries alone", load)):
            seconds = [processor_seconds(command) for _ in range(RUNS)]
            print(f"{what}: {min(seconds):.2f} s at least, {statistics.median(seconds):.2f} s median of {RUNS}")


if __name__ == "__main__":
    main()
