"""Several processes that train one network together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import distributed

from finewave.errors import InputError
from finewave.io.sole_writer import sole_writer


def is_first_process() -> bool:
    """Whether this process is the only one, or the one of several that writes the files."""
    return not (distributed.is_available() and distributed.is_initialized()) or distributed.get_rank() == 0


@contextmanager
def sole_run(out: Path) -> Iterator[None]:
    """Hold the output folder; processes that share one training are one run."""
    if os.environ.get("LOCAL_RANK", "0") != "0":  # Lightning starts the others with it
        yield
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {out}: {error.strerror}") from error
    with sole_writer(out):
        yield
