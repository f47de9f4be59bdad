"""Runs pages of the documentation, each in a process of its own that starts with the large libraries imported.

Their import takes longer than most pages. finewave itself is imported by each page anew. Input: a line with the path of
a program for each page. Output: a line with its exit code; beside the program, ``errors.txt`` with what it wrote.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import dask.array  # noqa: F401 - for the pages, as all of these
import h5netcdf  # noqa: F401
import rasterio  # noqa: F401
import scipy.ndimage  # noqa: F401
import torch  # noqa: F401
import xarray  # noqa: F401
import zarr  # noqa: F401


def enter(folder: Path) -> None:
    """Turn this process into one that was started in a folder, without outside data."""
    os.chdir(folder)
    os.environ |= {"FINEWAVE_DATA": str(folder / "none"), "FINEWAVE_PREPARED": str(folder / "prepared")}
    nothing, errors = os.open(os.devnull, os.O_RDWR), os.open("errors.txt", os.O_WRONLY | os.O_CREAT)
    for stream, target in enumerate((nothing, nothing, errors)):
        os.dup2(target, stream)
    sys.path[0] = ""


def main() -> None:
    for line in sys.stdin:
        program = Path(line.rstrip("\n"))
        child = os.fork()
        if child == 0:
            enter(program.parent)
            runpy.run_path(program.name)
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
