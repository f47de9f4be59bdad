"""On what a figure was measured, and when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    first = known[0]
    cores, threads = _values(known, "cores"), _values(known, "threads")
    where = first["gpu"] or f"{cores} cores of {_values(known, 'processor')} with {kind_of(first)}, {threads} threads"
    loads = [each["load"] for each in known if each["load"] is not None]
    load = f", load {max(loads):g} at {'the start' if len(known) == 1 else 'most'}" if loads else ""
    return f"{where}{load}; {_software(known)}"


def what_of(machines: Iterable[Mapping[str, Any]]) -> str:
    """Return what the values that were computed depend on: kinds of processors, version, dates and revisions."""
    known = list(machines)
    kinds = ", ".join(dict.fromkeys(kind_of(each) for each in known))
    return f"{_values(known, 'processor')} with {kinds}; {_software(known)}"


def _software(machines: Sequence[Mapping[str, Any]]) -> str:
    torch, dates, commits = (_values(machines, key) for key in ("torch", "date", "commit"))
    return f"PyTorch {torch}, {dates}, commit {commits}"


def _values(machines: Sequence[Mapping[str, Any]], key: str) -> str:
    return ", ".join(dict.fromkeys(str(each[key] or "unknown") for each in machines))
