"""Code revision and machine that produced a result, for cards and measurements."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

_SHOW_ONLY = frozenset({"cli", "viz", "studies"})
"""Packages that score nothing."""


def checkout_revision(*, short: bool = False) -> str | None:
    """Return the revision of the checkout, marked ``+changes`` when it has some; None for an installation."""
    try:
        revision = _git("rev-parse", *(["--short"] if short else []), "HEAD")
        changed = _git("status", "--porcelain", "-uno")
    except (OSError, subprocess.CalledProcessError):
        return None
    return revision + ("+changes" if changed else "")


def code_digest() -> str:
    """Return a digest of all code and tables of finewave that images, fits and scores depend on, and of PyTorch.

    A revision says neither what is changed in a checkout, nor which of two installations of one version is meant.
    """
    import numpy as np
    import torch

    top = Path(__file__).parent
    digest = hashlib.sha256(f"{torch.__version__} {np.__version__}".encode())
    for path in sorted(top.rglob("*")):
        inside = path.relative_to(top)
        if path.is_file() and inside.parts[0] not in _SHOW_ONLY and path.suffix != ".pyc":
            content = path.read_bytes()
            digest.update(f"{inside.as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def processor() -> str:
    """Return the processor's name, as the system reports it."""
    path = Path("/proc/cpuinfo")
    text = path.read_text().split("\n\n")[0] if path.exists() else ""
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}
    return facts.get("model name", platform.processor())


def describe_machine() -> dict[str, Any]:
    """Return processor, cores, threads, the instructions that may be used, GPU, versions, load, date and commit."""
    import torch

    from finewave.process.instructions import bfloat16_instructions, vectors

    usable = bfloat16_instructions()
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "amx_bf16": "amx_bf16" in usable,
        "avx512_bf16": "avx512_bf16" in usable,
        "vectors": vectors(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "date": time.strftime("%Y-%m-%d"),
        "commit": checkout_revision(short=True),
    }


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True).stdout.strip()
