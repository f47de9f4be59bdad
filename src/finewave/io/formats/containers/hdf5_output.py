"""Writing HDF5 so that a full disk ends in an error and not in a crash."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from finewave.errors import InputError

# Up to this size a file is put together in memory.
_SMALL = 2**30


def write_hdf5(path: Path, size: int, build: Callable[[Any], None], *, in_memory: bool = True) -> None:
    """Write an HDF5 file through a function that builds it.

    A full disk while HDF5 writes can crash the process, because its clean-up fails. Files of moderate size are
    therefore assembled in memory and written by Python; for larger ones the free space is checked first.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    size : int
        Bytes of its values, without compression.
    build : callable
        Takes a path or a binary file object and writes the HDF5 file to it.
    in_memory : bool
        Whether the values are; if not, the file is not put together there either.

    Raises
    ------
    InputError
        A large file may not fit the disk.
    """
    if in_memory and size <= _SMALL:
        memory = io.BytesIO()
        build(memory)
        path.write_bytes(memory.getbuffer())
        return
    free = shutil.disk_usage(path.parent).free
    if size > free:
        raise InputError(
            f"cannot write {path.name}: it may need {size / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB "
            "left; free some space or choose another disk"
        )
    build(path)
