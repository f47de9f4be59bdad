"""Finding and reading the files that owners of data sets publish."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from finewave.errors import InputError
from finewave.io.file_errors import reading

_SLAB = 16  # bands


def find_files(root: Path, patterns: str | tuple[str, ...], expected: str) -> dict[str, Path]:
    """Return the files under a folder, at any depth, by name without extension.

    Parameters
    ----------
    root : Path
        Folder.
    patterns : str or tuple of str
        Of the file names, as for ``Path.rglob``; the whole name without wildcards for one file.
    what : str
        Description of the expected files, for messages.

    Raises
    ------
    InputError
        If ``root`` is not a folder, there is no such file, or there are two with the same name.
    """
    patterns_ = (patterns,) if isinstance(patterns, str) else patterns
    return find_by(root, patterns_, expected, lambda path: path.stem)


def find_by(root: Path, patterns: tuple[str, ...], expected: str, name_of: Callable[[Path], str]) -> dict[str, Path]:
    """Return the files under a folder by the name that ``name_of`` gives them; see `find_files`."""
    if not root.is_dir():
        raise InputError(f"{root} is not a folder; give the one that holds {expected}")
    paths: dict[str, Path] = {}
    for path in sorted({path for pattern in patterns for path in root.rglob(pattern) if path.is_file()}):
        name = name_of(path)
        if name in paths:
            raise InputError(f"{name!r} is there twice: {paths[name]} and {path}; remove one")
        paths[name] = path
    if not paths:
        raise InputError(f"no {' or '.join(patterns)} in {root}; expected {expected}")
    return paths


def files_of(path: Path) -> list[Path]:
    """Return the files that an image is: one, all of a folder, or an ENVI header with its data."""
    if path.is_dir():
        return sorted(each for each in path.rglob("*") if each.is_file())
    if path.suffix.lower() != ".hdr":
        return [path]
    return sorted(each for each in path.parent.iterdir() if each.is_file() and path.stem in (each.stem, each.name))


def read_matlab(
    path: Path,
    variable: str,
    rows: tuple[int, int] | None = None,
    columns: tuple[int, int] | None = None,
) -> np.ndarray:
    """Read an image of a MATLAB file, of version 5 or 7.3, in the type of the file.

    Parameters
    ----------
    path : Path
        File.
    variable : str
        Array of rows x columns (x bands), as MATLAB shows it.
    rows, columns : (int, int), optional
        Range to read, end exclusive, from 0. Nothing else of a 7.3 file is read.

    Returns
    -------
    ndarray (C, H, W)

    Raises
    ------
    InputError
        If the file is damaged, has no such variable, or it is not an image of that size.
    """
    import h5py
    import scipy.io

    with reading(path, "MATLAB file"):
        if not h5py.is_hdf5(path):
            names = [name for name, _, _ in scipy.io.whosmat(path)]
            _check_variable(path, variable, names)
            array = np.atleast_3d(scipy.io.loadmat(path, variable_names=[variable])[variable])
            return np.ascontiguousarray(array[_part(path, array.shape[:2], rows, columns)].transpose(2, 0, 1))
        with h5py.File(path) as file:  # 7.3 stores the axes in reverse: bands x columns x rows
            _check_variable(path, variable, list(file))
            stored = file[variable]
            if stored.ndim not in (2, 3):
                raise InputError(f"{path}: {variable} has {stored.ndim} axes; expected rows x columns x bands")
            high, wide = _part(path, stored.shape[:-3:-1], rows, columns)
            if stored.ndim == 2:
                return np.ascontiguousarray(stored[wide, high].T[None])
            cube = np.empty((len(stored), high.stop - high.start, wide.stop - wide.start), stored.dtype)
            for first in range(0, len(cube), _SLAB):  # in parts, to hold only one copy in memory
                cube[first : first + _SLAB] = stored[first : first + _SLAB, wide, high].transpose(0, 2, 1)
            return cube


def _check_variable(path: Path, variable: str, names: list[str]) -> None:
    if variable not in names:
        there = ", ".join(name for name in names if not name.startswith("#")) or "nothing"
        raise InputError(f"{path} has no variable {variable!r}; it holds {there}")


def _part(
    path: Path, size: tuple[int, ...], rows: tuple[int, int] | None, columns: tuple[int, int] | None
) -> tuple[slice, slice]:
    ranges = [
        (0, length) if interval is None else interval for interval, length in zip((rows, columns), size, strict=True)
    ]
    if any(end > length for (_, end), length in zip(ranges, size, strict=True)):
        raise InputError(
            f"{path}: the image has {size[0]} x {size[1]} pixels; rows {rows} and columns {columns} are used"
        )
    return slice(*ranges[0]), slice(*ranges[1])


def read_compact(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a compact scene: zigzag-coded first differences in an ``.npz``.

    Returns
    -------
    cube : ndarray of int32 (C, H, W)
        Values as in the original file; where ``k`` is set, the file holds k times their square roots, rounded.
    wavelengths : ndarray (C,) or (0,)
        In nm; empty if unknown.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    with reading(path, "compact scene"), np.load(path, allow_pickle=False) as d:
        zigzag = d["lo"].astype(np.int32) | (d["hi"].astype(np.int32) << 8)
        values = (zigzag >> 1) ^ -(zigzag & 1)
        for axis in d.get("axes", (0, 1, 2)):
            values = np.cumsum(values, axis=axis, dtype=np.int32)
        k = int(d["k"])
        wavelengths = np.asarray(d["wavelengths_nm"]) if "wavelengths_nm" in d else np.empty(0)
    return (np.rint((values / k) ** 2).astype(np.int32) if k else values), wavelengths
