"""Settings of the C library's memory allocator: keep freed memory for large tensors, or return it to the system."""

from __future__ import annotations

import ctypes
import os

# mallopt's parameters, from <malloc.h>
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -2, -3, -4, -8
_PAD_BYTES = 64 * 2**20
_LARGE_BYTES = 16 * 2**20
_DEFAULT_MMAP_MAX = 65536


class _Kept:
    """Whether this process was told to keep freed memory."""

    all = False


def keep_freed_memory() -> bool:
    """Make this process reuse the memory of freed tensors; return whether that is possible.

    glibc returns large blocks to the system immediately. The next tensor then gets new memory, and the system clears
    each page at the first write: a fifth to a half of the time of large convolutions on a CPU. The cost is a higher
    peak, since blocks of different sizes do not fit into each other's gaps (figures in ``docs/performance.md``). It
    affects the whole process, so only the commands call it, never the library.

    Returns
    -------
    bool
        False, and nothing is changed, if the C library has no ``mallopt`` or the environment (``GLIBC_TUNABLES``,
        ``MALLOC_...``) already configures it.
    """
    if "glibc.malloc." in os.environ.get("GLIBC_TUNABLES", "") or any(n.startswith("MALLOC_") for n in os.environ):
        return False
    _Kept.all = _set((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_TOP_PAD, _PAD_BYTES), (_ARENA_MAX, 1))
    return _Kept.all


def return_large_blocks() -> None:
    """Return freed blocks of 16 MiB and more to the system again, where `keep_freed_memory` keeps them.

    For networks that process an image in one piece: the gaps between their largest tensors add half as much again to
    the peak, differently in each run (SSC-HSR at 512 x 512 pixels: 1.2 to 1.8 GB, here 1.0 to 1.15), for 15 % of time.
    """
    if _Kept.all:
        _Kept.all = not _set((_MMAP_MAX, _DEFAULT_MMAP_MAX), (_MMAP_THRESHOLD, _LARGE_BYTES))


def _set(*settings: tuple[int, int]) -> bool:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library; TypeError: Windows has no "this program"
        return False
    return all(mallopt(*setting) == 1 for setting in settings)


def release_freed_memory() -> None:
    """Return freed memory to the system; does nothing without ``malloc_trim``.

    For long-running programs with idle periods: memory used by many visitors at one time would otherwise remain
    allocated.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # another C library, or another system
        return
