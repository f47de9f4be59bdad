"""One run at a time for each output, on file systems of other machines, too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from finewave.errors import InputError
from finewave.io.atomic import check_folder_of
from finewave.io.file_errors import writing

_WAIT_S, _LOOK_S = 0.3, 0.1  # enough to take over from a run that was killed


@contextmanager
def sole_writer(output: Path) -> Iterator[None]:
    """Hold an output, a file or a folder, so that no other run writes it.

    A small file beside it, which only one can create on any file system, says who: machine, process and when that
    began. One that was left by a killed run of this machine is taken over. One of another machine cannot be asked
    whether it still runs, and blocks others until it is removed manually.

    Parameters
    ----------
    output : pathlib.Path
        It need not exist; its folder has to.

    Raises
    ------
    InputError
        If another run has it, or its folder cannot be written to.
    """
    from filelock import SoftFileLock, Timeout

    file = lock_file(output)
    lock = SoftFileLock(file, timeout=_WAIT_S, poll_interval=_LOOK_S)
    with writing(output):
        check_folder_of(output)
        try:
            lock.acquire()
        except Timeout:
            raise InputError(
                f"another run is writing {output}; wait for it, or choose another output (if it no longer runs, on "
                f"whichever machine, remove {file})"
            ) from None
    try:
        yield
    finally:
        lock.release()


def lock_file(output: Path) -> Path:
    """Return the file that is there while an output is written."""
    path = output.absolute()
    return path.with_name(f".{path.name[:200]}.lock")
