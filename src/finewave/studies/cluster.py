"""The trainings of a study over several processes, GPUs or hosts, with Dask."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from finewave.errors import InputError
from finewave.extras import importing
from finewave.inference.machine.process_pool import local_cluster
from finewave.studies.experiment import Cell
from finewave.studies.runner import run_group


def run_spread(
    groups: list[list[Cell]],
    out: Path,
    say: Callable[[str], None],
    *,
    workers: int | None = None,
    address: str | None = None,
) -> dict[str, str]:
    """Make cells, several trainings at a time.

    Parameters
    ----------
    groups : list of list of Cell
        See `finewave.studies.runner.missing_groups`.
    out : Path
        Results folder, visible to all workers under this path.
    say : callable
        Called with a line for each training.
    workers : int, optional
        Processes on this machine, which share its cores.
    address : str, optional
        Address of a scheduler (``tcp://host:8786``) to use instead of local processes. For several GPUs each worker
        should see one, as with ``dask-cuda``.

    Returns
    -------
    dict
        As of `finewave.studies.runner.run_groups`.

    Raises
    ------
    InputError
        If Dask is missing, the scheduler cannot be reached, or both options are given.
    """
    if workers is not None and address is not None:
        raise InputError("--workers starts processes here, --cluster uses those of a scheduler; give one of them")
    with importing("cluster", "training several networks at a time"):
        from distributed import Client, as_completed
    if not groups:
        return {}
    out = out.absolute()
    processes = min(workers or 1, len(groups))
    with local_cluster(processes) if address is None else nullcontext() as cluster:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        threads = None if cluster is None else max(1, cores // processes)
        try:
            client = Client(cluster if cluster is not None else address, timeout="20s")
        except OSError as error:
            raise InputError(f"no Dask scheduler answers at {address} ({error})") from error
        with client:
            # one task per training; keys include the folder, so that a cluster does not reuse results of another one
            tasks = {client.submit(_work, group, out, threads, pure=False, retries=0): group for group in groups}
            failures: dict[str, str] = {}
            done: Any
            for count, done in enumerate(as_completed(list(tasks)), start=1):
                group = tasks[done]
                reason = done.result()
                say(f"{count} of {len(groups)} done: {', '.join(map(str, group))}")
                if reason is not None:
                    say(f"not possible: {reason}")
                    failures[group[0].training] = reason
            return failures


def _work(group: list[Cell], out: Path, threads: int | None) -> str | None:
    """Compute the cells of one training in a worker; return the error, if any."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    try:
        run_group(group, out)
    except InputError as error:
        return str(error)
    return None
