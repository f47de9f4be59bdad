"""Several processes that train one network together."""

from __future__ import annotations

from torch import distributed


def is_first_process() -> bool:
    """Whether this process is the only one, or the one of several that writes the files."""
    return not (distributed.is_available() and distributed.is_initialized()) or distributed.get_rank() == 0
