"""Whether a network is being written down for other programs, by `torch.export` or as ONNX.

Some routines look at values, or at how large an image is, and choose what is quickest; some are kernels of our own.
None of that can be written down. Each has an equal path of standard operators, which it takes where `exporting`
says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_EXPORTING: ContextVar[bool] = ContextVar("exporting", default=False)


@contextmanager
def export_paths() -> Iterator[None]:
    """Let networks take the paths that can be exported, in this thread; what they compute is the same."""
    before = _EXPORTING.set(True)
    try:
        yield
    finally:
        _EXPORTING.reset(before)


def exporting() -> bool:
    """Whether to take the path that can be exported: under `export_paths`, or within `torch.export`."""
    within = getattr(torch.compiler, "is_exporting", None)  # not in older versions of PyTorch
    if within is not None and within():
        return True
    return not torch.compiler.is_dynamo_compiling() and _EXPORTING.get()  # which torch.compile cannot trace
