"""On what a figure was measured, and when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def kind_of(machine: Mapping[str, Any]) -> str:
    """Return the kind of processor, by its instructions for bfloat16, or the name of the GPU."""
    if machine["gpu"]:
        return str(machine["gpu"])
    kinds = {"AMX": "amx_bf16", "AVX-512": "avx512_bf16"}
    return next((kind for kind, key in kinds.items() if machine.get(key)), "no bfloat16")


def when(machines: Iterable[Mapping[str, Any]]) -> str:
    """Return processor, load, version, dates and revisions of runs on one kind of machine, on one line."""
    known = list(machines)

    def values(key: str) -> str:
        return ", ".join(dict.fromkeys(str(each[key] or "unknown") for each in known))

    first = known[0]
    instructions = "" if first["gpu"] else f" with {kind_of(first)}"
    where = (
        first["gpu"] or f"{values('cores')} cores of {values('processor')}{instructions}, {values('threads')} threads"
    )
    loads = [each["load"] for each in known if each["load"] is not None]
    load = f", load {max(loads):g} at {'the start' if len(known) == 1 else 'most'}" if loads else ""
    return f"{where}{load}; PyTorch {values('torch')}, {values('date')}, commit {values('commit')}"
