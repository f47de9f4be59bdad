"""NumPy files: one array (``.npy``) or several with names (``.npz``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.array_file import StoredArray, holds_texts, open_image
from finewave.io.open_options import OpenOptions

_SMALL_BYTES = 2**28
_LARGEST_RATIO = 100
"""Of images that hold something; zeros are packed 1,000 times."""


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open a NumPy file: ``.npy`` lazily, ``.npz`` completely, because it is compressed.

    Parameters
    ----------
    path : pathlib.Path
        The file. Arrays of Python objects are refused: reading them could run any program.

    Returns
    -------
    xarray.DataArray
        The scene. Wavelengths and the like are further arrays of an ``.npz``; the band axis is that of their length.
    """
    try:
        with reading(path, "NumPy array"):
            opened: Any = np.load(path, mmap_mode="r", allow_pickle=False)
            if isinstance(opened, np.ndarray):
                stored = {"image": stored_array(opened)}
            else:
                with opened:
                    _check_packed(opened, path)
                    stored = {name: stored_array(opened[name]) for name in opened.files}
    except InputError as error:
        if not any(word in str(error.__cause__) for word in ("allow_pickle", "Python objects")):
            raise
        raise InputError(
            f"{path} holds Python objects, which are never opened: reading them could run any program; save a plain "
            "array of numbers with numpy.save"
        ) from error
    return open_image(stored, path, "NumPy array", options, default_band_axis=None)


def _check_packed(archive: Any, path: Path) -> None:
    """Refuse an archive whose arrays are far larger than their bytes: they are all read into memory."""
    for each in archive.zip.infolist():
        if each.file_size > max(_SMALL_BYTES, _LARGEST_RATIO * each.compress_size):
            raise InputError(
                f"cannot read {path}: {each.filename} unpacks to {each.file_size / 2**20:.0f} MB from "
                f"{each.compress_size / 2**20:.1f} MB: it is nearly empty; save it without compression"
            )


def stored_array(array: NDArray[Any]) -> StoredArray:
    """Present an array of NumPy."""
    return StoredArray(
        shape=array.shape,
        dtype=array.dtype if array.dtype.kind in "fiub" else None,
        read=lambda key: np.asarray(array[key]),
        is_text=holds_texts(array.dtype, "SU"),
    )
