"""Whether the disk has room for an output and its temporary tiles: asked before the work, not after hours of it."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from finewave.errors import InputError
from finewave.warnings import FinewaveWarning

_UNPACKED = frozenset({".img", ".hdr", ".dat", ".bsq", ".bil", ".bip", ".envi", ".raw", ".mat"})
_HDF5 = frozenset({".nc", ".nc4", ".cdf", ".h5", ".hdf5", ".hdf", ".he5"})
_SMALL, _SMALL_FROM_TILES = 2**30, 2**28
"""Bytes up to which HDF5 is put together in memory; a larger file is not begun where it may not fit, because a full
disk can crash the library, see `finewave.io.formats.containers.hdf5_output`."""
_MOST_PACKED = 1032
"""How far Deflate packs at most; more than the codecs of Zarr do with numbers of images."""


@dataclass(frozen=True)
class Part:
    """Something that is written.

    Attributes
    ----------
    what : str
    bytes : int
        Without compression.
    packed : bool
        Whether it is compressed when it is written, by how much is not known before.
    """

    what: str
    bytes: int
    packed: bool

    @property
    def at_least(self) -> int:
        """Bytes that it takes for certain."""
        return self.bytes // _MOST_PACKED if self.packed else self.bytes


def output_part(output: Path, size: int, *, of_tiles: bool = True) -> Part:
    """Return an output of a number of bytes without compression; ``of_tiles`` says whether it is made of several."""
    suffix = output.suffix.lower()
    whole = suffix in _UNPACKED or (suffix in _HDF5 and size > (_SMALL_FROM_TILES if of_tiles else _SMALL))
    return Part(output.name, size, packed=not whole)


def check_space(
    output: Path, parts: Sequence[Part], present: int = 0, *, of_tiles: bool = True, smaller_type: bool = True
) -> None:
    """Refuse an output for which the disk clearly has no room; warn if it may be too small.

    Parameters
    ----------
    output : pathlib.Path
    parts : sequence of Part
        All that is on the disk at once.
    present : int
        Bytes of it that are there already.
    of_tiles : bool
        Whether the output is made of several tiles, which are kept.
    smaller_type : bool
        Whether there is a smaller type than the one that was chosen.

    Raises
    ------
    InputError
        What is not compressed does not fit, or not even if everything else were packed as far as possible.

    Warns
    -----
    FinewaveWarning
        It does not fit without compression.
    """
    folder = output.absolute().parent
    if not folder.is_dir():
        return  # refused where it is written
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return
    if usage.total == 0:
        return  # some file systems of other machines do not say
    listed = " and ".join(f"{in_bytes(each.bytes)} for {each.what}" for each in parts)
    how = "free some space, or choose another disk"
    if smaller_type:
        how = "free some space, choose another disk, or a smaller type (--dtype uint16, dtype=)"
    if sum(each.at_least for each in parts) - present > usage.free:
        raise InputError(
            f"cannot write {output}: it needs {listed}, and its disk has {in_bytes(usage.free)} left; {how}"
        )
    if sum(each.bytes for each in parts) - present > usage.free:
        warnings.warn(
            f"{output} may not fit its disk, which has {in_bytes(usage.free)} left: before packing it takes {listed}; "
            f"if that gets full, {'finished tiles are kept: ' if of_tiles else ''}free some space and give the same "
            "command again",
            FinewaveWarning,
            stacklevel=3,
        )


def in_bytes(count: int) -> str:
    """Return a number of bytes, human-readable."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
