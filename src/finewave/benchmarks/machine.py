"""What a measurement was made on."""

from __future__ import annotations

import os
import platform
import time
from typing import Any

from finewave.provenance import checkout_revision, processor


def describe_machine() -> dict[str, Any]:
    """Return processor, cores, threads, matrix units, GPU, versions, load, date and commit."""
    import torch

    model, flags = processor()
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "amx_bf16": "amx_bf16" in flags,
        "avx512_bf16": "avx512_bf16" in flags,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "date": time.strftime("%Y-%m-%d"),
        "commit": checkout_revision(short=True),
    }
