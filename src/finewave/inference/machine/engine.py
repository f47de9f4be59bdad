"""Tiles by threads of this process, or as tasks of Dask by processes of this machine or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any

from finewave.errors import InputError
from finewave.inference.machine.process_pool import ModelSource
from finewave.inference.processing import PLAIN, Processing
from finewave.inference.tiling.resume import ResumeStore
from finewave.inference.tiling.sources import WindowSource
from finewave.inference.tiling.tile_run import read_tile, run_tile
from finewave.inference.tiling.tiles import Tiling

THREADS = 2
"""One runs the network, on all cores; the other one reads and writes."""

ProgressCallback = Callable[[int, int], None]


@dataclass(frozen=True)
class TileJob:
    """Everything that a worker needs to know.

    Parameters
    ----------
    model : ModelSource
    sources : mapping of str to (WindowSource, int)
        The inputs by name, with their pixels per tiling pixel along an axis.
    tiling : Tiling
    unfinished : ResumeStore
        Where tiles go.
    processing : Processing
        Processing around the network.
    """

    model: ModelSource
    sources: Mapping[str, tuple[WindowSource, int]]
    tiling: Tiling
    unfinished: ResumeStore
    processing: Processing = PLAIN

    def do(self, number: int) -> None:
        """Read, run and store one tile, unless it is finished."""
        if self.unfinished.facts(number) is not None:
            return  # a worker was lost after storing the tile, before reporting it
        tile = self.tiling[number]
        images = read_tile(self.sources, tile, self.tiling)
        self.unfinished.write(number, tile, run_tile(self.model.get(), images, tile, self.tiling, self.processing))


def run_job(job: TileJob, numbers: Sequence[int], client: Any | None, progress: ProgressCallback | None = None) -> None:
    """Do tiles.

    Parameters
    ----------
    job : TileJob
    numbers : sequence of int
        Which tiles.
    client : distributed.Client, optional
        Whose workers do it; by default threads of this process.
    progress : callable, optional
        Called with the number of tiles done and of all tiles.

    Raises
    ------
    InputError
        The error of a tile, or repeated loss of workers.
    """
    total = len(job.tiling)

    def count(done: int) -> None:
        if progress is not None:
            progress(total - len(numbers) + done, total)

    count(0)
    if not numbers:
        return
    if client is None:
        _in_threads(job, numbers, count)
    else:
        _on_workers(job, numbers, client, count)


def _in_threads(job: TileJob, numbers: Sequence[int], count: Callable[[int], None]) -> None:
    waiting = iter(numbers)
    pool = ThreadPoolExecutor(THREADS)
    try:
        # no more than can run: after an error none begins
        running = {pool.submit(job.do, number) for number in islice(waiting, THREADS)}
        done = 0
        while running:
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for each in finished:
                each.result()
                done += 1
                count(done)
            running |= {pool.submit(job.do, number) for number in islice(waiting, len(finished))}
    finally:
        # wait for running tiles, also after an error, so that none writes after the output's lock is released
        pool.shutdown(wait=True, cancel_futures=True)


def _do(job: TileJob, number: int) -> None:
    job.do(number)


def _on_workers(job: TileJob, numbers: Sequence[int], client: Any, count: Callable[[int], None]) -> None:
    import dask
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    shared, total = dask.delayed(job, traverse=False), len(job.tiling)
    # Dask takes tasks that do not depend on each other from the last key to the first; neighbours in a file follow
    keys = [("tile", f"{total - number:09d}") for number in numbers]
    tasks = [dask.delayed(_do)(shared, number, dask_key_name=key) for key, number in zip(keys, numbers, strict=True)]
    futures = client.compute(tasks)
    try:
        for done, future in enumerate(as_completed(futures, loop=client.loop), start=1):
            future.result()
            future.release()  # otherwise tiles of a lost worker would be recomputed
            count(done)
    except KilledWorker as error:
        raise InputError(
            f"workers died at one tile after another, perhaps for want of memory: try a smaller tile ({error})"
        ) from error
    finally:
        client.cancel([future for future in futures if not future.done()], force=True)
