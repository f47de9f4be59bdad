"""Worker processes, and the model in each of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from finewave.errors import InputError
from finewave.extras import check_extra

if TYPE_CHECKING:
    from finewave.zoo.runnable import RunnableModel

CONNECTION_SECONDS = 20
WORKER_START = "finewave.inference.machine.process_entry"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class ModelSource(Protocol):
    """Something that has a model."""

    def get(self) -> RunnableModel:
        """Return the model."""


@dataclass(frozen=True)
class LoadedModel:
    """A model of this process."""

    model: RunnableModel

    def get(self) -> RunnableModel:
        """Return the model."""
        return self.model


@dataclass(frozen=True)
class SavedModel:
    """A model that every process loads for itself, once.

    Parameters
    ----------
    which : str
        Name or folder, for `load_model`.
    precision, pooling : str
        See `Model`.
    device : str
        Where its network is run.
    sha256 : str
        Checksum of its weights, so that other weights of the same name are reloaded.
    """

    which: str
    precision: str
    pooling: str
    device: str
    sha256: str

    def get(self) -> RunnableModel:
        """Return the model."""
        return _loaded(self)


@lru_cache(maxsize=2)
def _loaded(source: SavedModel) -> RunnableModel:
    from finewave.zoo.model import load_model

    return load_model(source.which, precision=source.precision).with_pooling(source.pooling).to(source.device)


@contextmanager
def connected(cluster: str | None, workers: int | None) -> Iterator[Any | None]:
    """Yield a client of Dask's distributed scheduler; None, if the work stays in this process.

    Parameters
    ----------
    cluster : str, optional
        Address of a scheduler, e.g. ``"tcp://host:8786"``: that of Dask-Jobqueue, Dask-CUDA, ...
    workers : int, optional
        Processes to start on this machine; they share its cores, unless one of `THREAD_VARIABLES` says how many
        threads each of them has.

    Raises
    ------
    InputError
        If both are given, Dask's distributed scheduler is not installed, or there is none at the address.
    """
    if cluster is None and workers is None:
        yield None
        return
    if cluster is not None and workers is not None:
        raise InputError("give --cluster or --workers: a cluster has its own workers")
    check_extra("cluster", "a run with several processes")
    from distributed import Client

    if cluster is not None:
        try:
            client = Client(cluster, timeout=CONNECTION_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise InputError(f"no Dask scheduler answers at {cluster} ({type(error).__name__}: {error})") from error
        with client:
            yield client
        return
    assert workers is not None
    with local_cluster(workers) as local, Client(local, set_as_default=False) as client:
        yield client


@contextmanager
def local_cluster(workers: int) -> Iterator[Any]:
    """Yield a cluster of processes on this machine that only this process can use.

    Dask's scheduler runs any code it receives, and its port on the loopback interface is open to every user of the
    machine, so TLS keys generated for this run and held in memory are required. Its dashboard is not served.
    """
    import dask
    from distributed import LocalCluster
    from distributed.security import Security

    keys = Security.temporary()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = str(max(1, cores // workers))
    # if the user sets one, set none: PyTorch uses MKL's number of threads for OpenMP
    set_threads = not any(name in os.environ for name in THREAD_VARIABLES)
    environment = dict.fromkeys(THREAD_VARIABLES, threads) if set_threads else {}
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    no_pages: dict[str, list[str]] = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
    try:
        with (
            dask.config.set({"distributed.nanny.pre-spawn-environ": environment, **no_pages}),
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                host="127.0.0.1",
                security=keys,
                protocol="tls://",
                dashboard_address=None,
                # without a dashboard Dask listens on its port 8787 all the same, and warns if another run has it
                scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                silence_logs="CRITICAL",
                preload=[WORKER_START],
            ) as local,
        ):
            # `process_entry` does this for the workers
            local.scheduler.http_server.stop()
            yield local
    finally:  # restore the environment, which Dask changes in this process too
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
