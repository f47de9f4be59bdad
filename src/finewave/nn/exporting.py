"""Whether a network is being exported, by `torch.export` or to ONNX.

Some routines choose the fastest path by values or image size, and some use custom kernels. Neither can be exported.
Each has an equivalent path of standard operators, used if `exporting` is true.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_EXPORTING: ContextVar[bool] = ContextVar("exporting", default=False)


@contextmanager
def export_paths() -> Iterator[None]:
    """Make networks use the paths that can be exported, in this thread; results are the same."""
    before = _EXPORTING.set(True)
    try:
        yield
    finally:
        _EXPORTING.reset(before)


def exporting() -> bool:
    """Return whether to use the path that can be exported: under `export_paths`, or within `torch.export`."""
    within = getattr(torch.compiler, "is_exporting", None)  # not in older versions of PyTorch
    if within is not None and within():
        return True
    return not torch.compiler.is_dynamo_compiling() and _EXPORTING.get()  # which torch.compile cannot trace
