"""Instructions of the processor that PyTorch and oneDNN may use: those it has, within the limits that a user sets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

BFLOAT16 = ("amx_bf16", "avx512_bf16")
"""Instructions of processors, by PyTorch's names, with which bfloat16 is faster than float32."""

WITHOUT_BFLOAT16 = frozenset(
    ("sse41", "avx", "avx2", "avx2_vnni", "avx2_vnni_2", "avx512_core", "avx512_core_vnni"),
)
"""Values of ``ONEDNN_MAX_CPU_ISA`` with which oneDNN emulates bfloat16: slower than float32 and with more memory."""


def bfloat16_instructions() -> set[str]:
    """Return those of `BFLOAT16` that the processor has and that may be used.

    Two limits count, as PyTorch and oneDNN read them: ``ATEN_CPU_CAPABILITY``, and ``ONEDNN_MAX_CPU_ISA`` or its older
    name ``DNNL_MAX_CPU_ISA``, in which letters may be small or capital and unknown values are no limit.
    """
    if not vectors().startswith("AVX512"):  # both work on vectors of AVX-512, or beside them
        return set()
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or ""
    if limit.lower() in WITHOUT_BFLOAT16:
        return set()
    has = capabilities()
    return {name for name in BFLOAT16 if has.get(name, False)}


def capabilities() -> Mapping[str, Any]:
    """Return PyTorch's report of the processor's features; empty in versions without it."""
    import torch

    report = getattr(torch.cpu, "get_capabilities", None)
    return {} if report is None else report()


def vectors() -> str:
    """Return the vector instructions of PyTorch's own kernels, e.g. ``"AVX512"``, ``"AVX2"`` or ``"DEFAULT"``."""
    import torch

    return torch.backends.cpu.get_cpu_capability()
