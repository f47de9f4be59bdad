"""Output that appears under its final name only when it is complete."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from finewave.errors import InputError
from finewave.io.file_errors import writing

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_MANY = 200


@contextmanager
def atomic_output(path: Path | str, needed_bytes: int = 0) -> Iterator[Path]:
    """Write under a temporary name, then rename; on failure nothing is left.

    Everything written beside the yielded path (the header of an ENVI image, for instance) is also renamed, the yielded
    name last. An existing output is replaced at that moment, not before.

    Parameters
    ----------
    path : path
        The final name, of a file or of a folder such as a Zarr store.
    needed_bytes : int
        Lower bound of the output's size; checked against the free space before work starts.

    Yields
    ------
    pathlib.Path
        The name to write to: same file name, in a hidden temporary folder beside the final one.

    Raises
    ------
    InputError
        The folder is missing or cannot be written to, the disk is full, or writing failed.
    """
    final = Path(path)
    folder = final.parent
    with writing(final):
        check_folder_of(final)
        free = shutil.disk_usage(folder).free
        if needed_bytes > free:
            raise InputError(
                f"cannot write {final}: it needs {_size(needed_bytes)} and the disk has {_size(free)} left"
            )
        with workshop_for(final) as workshop:
            yield workshop / final.name
            _publish(workshop, final)


def check_folder_of(final: Path) -> None:
    """Refuse an output whose folder is not there."""
    folder = final.parent
    if not folder.is_dir():
        problem = "is a file, not a folder" if folder.exists() else "does not exist; create it first"
        raise InputError(f"cannot write {final}: the folder {folder} {problem}")


@contextmanager
def workshop_for(final: Path) -> Iterator[Path]:
    """Yield an empty hidden folder beside an output, in which it is made; it is gone afterwards.

    Folders left by earlier, killed runs for the same output are removed, too. A folder in use is recognised by the
    system's lock on it, which goes with its process; where there are no such locks (Windows, some file systems of
    other machines) folders of killed runs stay.

    Parameters
    ----------
    final : pathlib.Path
        The name that the output will have.
    """
    # a name of this program alone: of folders like `.out.settings` there are others'
    prefix = f".{final.name[:100]}.finewave-"
    _remove_left_over(final.parent, prefix)
    while True:
        workshop = Path(tempfile.mkdtemp(dir=final.parent, prefix=prefix))
        with suppress(BlockingIOError, FileNotFoundError):  # another run took it for one that is left over
            hold = _hold(workshop)
            break
    try:
        yield workshop
    finally:
        remove_folder(workshop)
        if hold is not None:
            _let_go(hold)


def _remove_left_over(folder: Path, prefix: str) -> None:
    made_by_us = re.compile(re.escape(prefix) + r"[a-z0-9_]{8}")
    with suppress(OSError):
        for each in list(folder.iterdir()):
            if not (made_by_us.fullmatch(each.name) and each.is_dir() and not each.is_symlink()):
                continue
            with suppress(OSError):
                hold = _hold(each)
                if hold is not None:
                    shutil.rmtree(each, ignore_errors=True)
                    _let_go(hold)


def _hold(folder: Path) -> int | None:
    """Lock a folder until what is returned is closed; None where the system cannot.

    Raises
    ------
    BlockingIOError, FileNotFoundError
        Another process has it, or has removed it.
    """
    if fcntl is None:
        return None
    handle = os.open(folder, os.O_RDONLY)
    _held.add(handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder.stat()
    except OSError as error:
        _let_go(handle)
        if isinstance(error, BlockingIOError | FileNotFoundError):
            raise
        return None
    return handle


def _let_go(handle: int) -> None:
    if handle in _held:  # otherwise its number may be of another file, after a fork
        _held.discard(handle)
        os.close(handle)


def _let_go_in_fork() -> None:
    """Close what a forked child inherits: it would hold the folder on after its parent was killed."""
    for handle in list(_held):
        with suppress(OSError):
            _let_go(handle)


_held: set[int] = set()  # locked folders of this process
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_fork)


def remove_folder(folder: Path, patience: float = 5.0) -> None:
    """Remove a temporary folder and all in it, even if a library's threads are still writing there.

    Libraries that write in parallel report the first failure while their other threads still work: a file added by one
    of them during the removal would keep the folder, or recreate it.

    Parameters
    ----------
    folder : pathlib.Path
        It need not exist.
    patience : float
        Timeout of the removal in seconds; remaining files are left without an error, because the caller has a more
        important one to report.
    """
    _wait_for_zarr(patience)
    deadline = time.monotonic() + patience
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists() or time.monotonic() > deadline:
            return
        time.sleep(0.01)


def _wait_for_zarr(patience: float) -> None:
    """Wait for pending writes of zarr, which writes chunks as tasks of one event loop."""
    if "zarr" not in sys.modules:
        return
    from zarr.core.sync import sync

    async def finish() -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=patience)

    with suppress(RuntimeError):  # its loop is closed: no pending writes
        sync(finish())


def flush_to_disk(path: Path) -> None:
    """Have a file, or all that is in a folder, on the disk before a rename makes it final.

    Without it, after a power failure the new name may refer to an empty or partial file.
    """
    if not path.is_dir():
        _fsync(path)
        return
    within = [path, *path.rglob("*")]
    if len(within) > _MANY and hasattr(os, "sync"):
        os.sync()  # one sync is faster than one for each of thousands of chunks
        return
    for each in within:
        _fsync(each)


def _fsync(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:  # a folder, on Windows
        return
    try:
        os.fsync(handle)
    except OSError as error:
        # some file systems do not support it for folders; a full disk is reported
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
    finally:
        os.close(handle)


def _publish(workshop: Path, final: Path) -> None:
    written = sorted(workshop.iterdir(), key=lambda each: (each.name == final.name, each.name))
    if not any(each.name == final.name for each in written):
        raise InputError(f"cannot write {final}: nothing was written")
    for each in written:
        flush_to_disk(each)
    for each in written:
        target = final.parent / each.name
        if not (each.is_dir() and target.exists()):
            each.replace(target)
            continue
        # A folder cannot be renamed over another one: move the old one away, and back if that fails.
        old = workshop / f"{each.name}.old"
        target.rename(old)
        try:
            each.rename(target)
        except OSError:
            old.rename(target)
            raise
    _fsync(final.parent)
    # GDAL's auxiliary files of an older file of this name would contradict the new one.
    (final.parent / f"{final.name}.aux.xml").unlink(missing_ok=True)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
