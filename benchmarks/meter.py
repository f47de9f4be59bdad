"""Time, memory and arithmetic of a piece of work in this process."""

from __future__ import annotations

import gc
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

LONG_SECONDS = 4.0  # what takes longer is done once more after the warm-up, not several times


def seconds_of(work: Callable[[], Any], device: torch.device) -> float:
    """Return how long one run takes; on a GPU from event to event."""
    if device.type != "cuda":
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize(device)
    begin.record()
    work()
    end.record()
    torch.cuda.synchronize(device)
    return begin.elapsed_time(end) / 1000


def timed(work: Callable[[], Any], device: torch.device, *, budget: float = 2.0, once: bool = False) -> dict[str, Any]:
    """Run ``work`` to warm up, then until ``budget`` seconds are spent, and return median, least and number of runs.

    Parameters
    ----------
    work : callable
        What is measured.
    device : torch.device
        Where it runs.
    budget : float
        Seconds; there are three runs at least and twenty at most, but one for work that takes long.
    once : bool
        One run and no warm-up: for what takes too long otherwise.
    """
    first = seconds_of(work, device)
    if once:
        return {"seconds": first, "least_seconds": first, "runs": 1, "warm_up": False}
    times = [seconds_of(work, device)]
    while first < LONG_SECONDS and (len(times) < 3 or (sum(times) < budget and len(times) < 20)):
        times.append(seconds_of(work, device))
    return {"seconds": statistics.median(times), "least_seconds": min(times), "runs": len(times), "warm_up": True}


class PeakMemory:
    """Most memory in use since this object was made, above what was in use then, in bytes.

    On a processor from the process's high-water mark, which only ever rises: one measurement a process.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        gc.collect()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            torch.cuda.reset_peak_memory_stats(device)
            self.before = torch.cuda.memory_allocated(device)
        else:
            self.before = _resident()

    def bytes(self) -> int:
        """Return the peak so far."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) - self.before
        return max(0, _high_water() - self.before)


def _high_water() -> int:
    # not `ru_maxrss` where there is a choice: in a new process that begins with the peak of the one that started it
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _resident() -> int:
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * resource.getpagesize() if statm.exists() else _high_water()


def stage_seconds(net: nn.Module, work: Callable[[], Any], device: torch.device) -> dict[str, float]:
    """Return the time that one run of ``work`` spends in each part of ``net``, and in ``"rest"``.

    Parts are the direct children, and the stages that a network runs by `SRNetwork.run_tile_stage`.
    """
    spent: dict[str, float] = {}
    inside: list[str] = []
    began = 0.0

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    def enter(name: str) -> None:
        nonlocal began
        if not inside:
            began = now()
        inside.append(name)

    def leave(name: str) -> None:
        inside.pop()
        if not inside:  # a stage's child is part of it
            spent[name] = spent.get(name, 0.0) + now() - began

    handles = []
    for name, child in net.named_children():

        def before(*_: Any, name: str = name) -> None:
            enter(name)

        def after(*_: Any, name: str = name) -> None:
            leave(name)

        handles += [child.register_forward_pre_hook(before), child.register_forward_hook(after)]
    run = getattr(net, "run_tile_stage", None)

    def run_stage(name: str, images: Mapping[str, Any]) -> Any:
        assert run is not None
        enter(name)
        made = run(name, images)
        leave(name)
        return made

    if run is not None:
        vars(net)["run_tile_stage"] = run_stage
    start = now()
    work()
    total = now() - start
    vars(net).pop("run_tile_stage", None)
    for handle in handles:
        handle.remove()
    return {**spent, "rest": total - sum(spent.values())}


def operator_seconds(work: Callable[[], Any], device: torch.device) -> dict[str, float]:
    """Return the time that one run spends in each kind of operator, its callees left out, the longest first."""
    from torch.profiler import ProfilerActivity, profile

    cuda = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]) as profiled:
        work()
    microseconds = {
        event.key: float(event.self_device_time_total if cuda else event.self_cpu_time_total)
        for event in profiled.key_averages()
        if event.key.startswith("aten::") or "::" in event.key
    }
    return {key: value / 1e6 for key, value in sorted(microseconds.items(), key=lambda item: -item[1]) if value}


@contextmanager
def arithmetic(precision: str, device: torch.device) -> Iterator[None]:
    """Compute in ``"float32"``, or in ``"bfloat16"`` where the network lets mixed precision do so."""
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        yield
