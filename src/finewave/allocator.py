"""The C library's allocator: set for large tensors that come and go, or told to give back what is freed."""

from __future__ import annotations

import ctypes
import os

# mallopt's parameters, from <malloc.h>
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
_PAD_BYTES = 64 * 2**20


def keep_freed_memory() -> bool:
    """Have this process keep the memory of tensors that are gone for those that come, and return whether it will.

    glibc gives large blocks back to the system at once. The next tensor then is new memory, every page of which the
    system clears when it is first written: a fifth to a half of the time of large convolutions on a processor. The
    price is a higher peak, since blocks of different sizes do not fit into each other's gaps (``docs/performance.md``
    has both). It is for programs, which know that they do nothing else; the commands call it, the library never does.

    Returns
    -------
    bool
        False, and nothing is changed, where the C library has no ``mallopt``, or where the environment
        (``GLIBC_TUNABLES``, ``MALLOC_...``) says how it is wanted.
    """
    if "glibc.malloc." in os.environ.get("GLIBC_TUNABLES", "") or any(n.startswith("MALLOC_") for n in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library; TypeError: Windows has no "this program"
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_TOP_PAD, _PAD_BYTES), (_ARENA_MAX, 1))
    return all(mallopt(*setting) == 1 for setting in settings)


def release_freed_memory() -> None:
    """Give memory that is freed back to the system; without a ``malloc_trim``, nothing happens.

    For programs that run long and rest in between: what many visitors took at once would else stay.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # another C library, or another system
        return
