"""``make kills``: commands killed at random moments and run out of disk, then given again; a table of what came of it.

python -m tests.kills.campaign [--moments 20] [--seed 18] [--jobs NAME ...] [--at-once 2] [--results FILE]

Starting Python with PyTorch takes seconds: one process has all imported, without a thread, and forks for each run. With
a file of results, moments that stand in it are not tried again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from tests.kills.jobs import JOBS, Job, contents, left_over, write_inputs, write_store
from tests.kills.processes import (
    children_of,
    end_of,
    measured_end_of,
    over,
    send,
    start,
    wait_until_used,
)

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
DISK = "full disk"
BESIDE = "second run"
KINDS = [*(each.name for each in SIGNALS), DISK, BESIDE]


@dataclass(frozen=True)
class Trial:
    """One trouble of one command, and what came of it; `fault` is None if all was as it should be."""

    job: str
    kind: str
    part: float
    outcome: str
    fault: str | None = None


def preload() -> None:
    """Import what the commands do."""
    import dask.array  # noqa: F401
    import distributed  # noqa: F401
    import lightning  # noqa: F401
    import rasterio  # noqa: F401
    import torch
    import zarr  # noqa: F401

    import finewave.cli
    import finewave.inference.predict_file
    import finewave.studies.runner
    import finewave.training.fit
    import finewave.training.trainer  # noqa: F401
    from finewave import provenance
    from finewave.training import callbacks, trainer
    from tests.studies.tiny import register

    torch.set_num_threads(1)
    register()
    callbacks.CHECKPOINT_SECONDS = 0.0  # so that a kill at any moment finds one
    provenance.checkout_revision = trainer.checkout_revision = lambda **_: "one"  # it may change meanwhile
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a thread would be missing in every fork"


class Place:
    """Inputs and a calm run of a job to compare with."""

    def __init__(self, job: Job, inputs: Path, folder: Path) -> None:
        self.job, self.inputs, self.folder = job, inputs, folder
        self.outputs = folder / "outputs"
        self.fresh()
        status, self.seconds = measured_end_of(start(job, inputs, folder))
        if status != 0:
            raise RuntimeError(f"{job.name} ends with {status} by itself:\n{self.log()}")
        self.expected = contents(self.outputs)
        self.size = sum(path.stat().st_size for path in self.outputs.rglob("*") if path.is_file())
        assert not left_over(self.outputs), left_over(self.outputs)

    def fresh(self) -> None:
        shutil.rmtree(self.outputs, ignore_errors=True)
        self.outputs.mkdir()

    def log(self, name: str = "log") -> str:
        return (self.folder / name).read_text(errors="replace")

    def errors(self, name: str = "log") -> list[str]:
        return [line for line in self.log(name).splitlines() if line.startswith("error")]

    def again(self) -> str | None:
        """Give the same command; return what is not as after a calm run."""
        pid = start(self.job, self.inputs, self.folder)
        status = end_of(pid)
        if children_of(pid):
            return "the same command then leaves a child process"
        if status != 0:
            return f"the same command then ends with {status}: {self.log()[-300:]}"
        found = contents(self.outputs)
        differing = sorted(name for name in {*found, *self.expected} if found.get(name) != self.expected.get(name))
        if differing:
            return f"other bytes than without: {', '.join(differing[:4])}"
        remains = left_over(self.outputs)
        return f"left over: {', '.join(remains[:4])}" if remains else None

    def killed(self, kind: str, part: float) -> Trial:
        """Send a signal when a part of the usual processor time is used."""
        number = signal.Signals[kind]
        self.fresh()
        pid = start(self.job, self.inputs, self.folder)
        wait_until_used(pid, part * self.seconds)
        os.kill(pid, number)  # nobody has waited for it: it is there even if it is over
        status = end_of(pid)
        outcome = "after its end" if status == 0 else "the same bytes"
        faults = []
        if number != signal.SIGKILL and status not in (0, -number) and (status != 1 or "Traceback" in self.log()):
            faults.append(f"status {status}: {self.log()[-300:]}")
        if children_of(pid):
            faults.append("a child process stayed")
        held = [name for name in left_over(self.outputs) if name.endswith(".lock")]
        if number != signal.SIGKILL and status == 1 and held:
            faults.append(f"a lock stayed: {', '.join(held)}")
        faults.append(self.again() or "")
        return Trial(self.job.name, kind, part, outcome, "; ".join(filter(None, faults)) or None)

    def without_room(self, kind: str, part: float) -> Trial:
        """Run with room for a part of the output, then with room enough."""
        self.fresh()
        faults = []
        with small_disk(self.outputs, max(4096, int(part * self.size))) as (room, limit):
            status = end_of(start(self.job, self.inputs, self.folder, limit))
            if status != 0 and (status != 2 or len(self.errors()) != 1):
                faults.append(f"status {status}, {len(self.errors())} lines: {self.log()[-400:]}")
            room(2**28)
            faults.append(self.again() or "")
        outcome = "room enough" if status == 0 else "the same bytes"
        return Trial(self.job.name, kind, part, outcome, "; ".join(filter(None, faults)) or None)

    def beside(self, kind: str, part: float) -> Trial:
        """Give the command a second time while the first one has its output."""
        self.fresh()
        first = start(self.job, self.inputs, self.folder)
        while not list(self.outputs.rglob(".*.lock")) and not over(first):
            time.sleep(0.001)
        send(first, signal.SIGSTOP)
        second = end_of(start(self.job, self.inputs, self.folder, log="log of the second"))
        send(first, signal.SIGCONT)
        said = self.log("log of the second")
        faults = []
        if second != 2 or "another run is writing" not in said or len(self.errors("log of the second")) != 1:
            faults.append(f"status {second}: {said[-300:]}")
        if end_of(first) != 0 or contents(self.outputs) != self.expected or left_over(self.outputs):
            faults.append(f"the first one is not as without: {self.log()[-300:]}")
        return Trial(self.job.name, kind, part, "refused in one line", "; ".join(faults) or None)

    def trial(self, kind: str, part: float) -> Trial:
        """Make one trial of any kind."""
        make = {DISK: self.without_room, BESIDE: self.beside}.get(kind, self.killed)
        return make(kind, part)


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[tuple]:
    """Yield what gives a folder room for more bytes, and the limit of a file where no disk can be mounted."""
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() == 0 and subprocess.run(mounted, capture_output=True, check=False).returncode == 0:
        try:
            yield lambda more: subprocess.run(["mount", "-o", f"remount,size={more}", str(folder)], check=True), None
        finally:
            subprocess.run(["umount", str(folder)], check=True)
    else:
        yield lambda more: None, size


def in_fork(work: Callable, *arguments) -> int:
    """Start what is done in a process of its own; return the process."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        _in_child(work, *arguments)
    return pid


def _in_child(work: Callable, *arguments) -> NoReturn:
    status = 1
    try:
        work(*arguments)
        status = 0
    except BaseException as error:
        print(f"{getattr(work, '__name__', work)}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        sys.stdout.flush()
        os._exit(status)


def parts_of(name: str, kind: str, moments: int, seed: int) -> list[float]:
    """Return the moments of a cell as parts of a command: the same for the same seed."""
    chance = random.Random(f"{seed} {name} {kind}")
    return sorted(round(chance.uniform(0, 1), 6) for _ in range(moments if kind != BESIDE else 1))


def stored(results: Path) -> list[Trial]:
    """Return the trials that a file has; the last one of the same command, kind and moment counts."""
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    trials = [Trial(**json.loads(line)) for line in lines]
    return list({(each.job, each.kind, each.part): each for each in trials}.values())


def run_job(name: str, cells: dict[str, list[float]], inputs: Path, results: Path) -> None:
    """Make the trials of one command, one after the other, and append them to the results."""
    folder = inputs.parent / name.replace(" ", "-")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    place = Place(JOBS[name], inputs, folder)
    for kind, parts in cells.items():
        for part in parts:
            trial = place.trial(kind, part)
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(trial)) + "\n")
            if trial.fault is not None:
                print(f"{name}, {kind} at {part:.3f}: {trial.fault}", flush=True)
        print(f"{name:20}{kind:12}done", flush=True)


def run(names: list[str], moments: int, seed: int, kinds: list[str], results: Path, at_once: int) -> list[Trial]:
    """Run the matrix but for what stands in the results, several commands at once; return all trials asked for."""
    asked = {(name, kind): parts_of(name, kind, moments, seed) for name in names for kind in kinds}
    known = {(each.job, each.kind, each.part) for each in stored(results)}
    with tempfile.TemporaryDirectory(prefix="finewave-kills-") as made:
        waiting = {}
        for name in names:
            cells = {kind: [part for part in asked[name, kind] if (name, kind, part) not in known] for kind in kinds}
            if any(cells.values()):
                waiting[name] = {kind: parts for kind, parts in cells.items() if parts}
        if waiting:
            preload()
            _run_all(waiting, Path(made), results, at_once)
    wanted = {(name, kind, part) for (name, kind), parts in asked.items() for part in parts}
    return [each for each in stored(results) if (each.job, each.kind, each.part) in wanted]


def _run_all(waiting: dict[str, dict[str, list[float]]], top: Path, results: Path, at_once: int) -> None:
    inputs = top / "inputs"
    (inputs / "prepared").mkdir(parents=True)
    for write in (write_inputs, write_store):
        if os.waitpid(in_fork(write, inputs), 0)[1]:
            raise RuntimeError(f"{write.__name__} failed")
    os.environ["FINEWAVE_DATA"] = str(top / "none")
    os.chdir(top)
    running: dict[int, str] = {}
    while waiting or running:
        while waiting and len(running) < at_once:
            name = next(iter(waiting))
            running[in_fork(run_job, name, waiting.pop(name), inputs, results)] = name
        pid, status = os.wait()
        if status:
            raise RuntimeError(f"the trials of {running[pid]} ended with {os.waitstatus_to_exitcode(status)}")
        del running[pid]


def table(trials: list[Trial]) -> str:
    """Return a table in Markdown: of each, how many were as without."""
    kinds = [kind for kind in KINDS if any(each.kind == kind for each in trials)]
    lines = [f"| command | {' | '.join(kinds)} |", f"|---{'|---' * len(kinds)}|"]
    for name in [name for name in JOBS if any(each.job == name for each in trials)]:
        cells = []
        for kind in kinds:
            of_cell = [each for each in trials if (each.job, each.kind) == (name, kind)]
            cells.append(f"{sum(each.fault is None for each in of_cell)} of {len(of_cell)}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Print the table; 1 if anything was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=20, help="of each kind for each command")
    parser.add_argument("--seed", type=int, default=18)
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--at-once", type=int, default=1, help="commands whose trials run at the same time")
    parser.add_argument("--results", type=Path, help="file of all trials, one a line; those in it are not made again")
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        results = (said.results or Path(made) / "trials.jsonl").absolute()
        trials = run(said.jobs, said.moments, said.seed, said.kinds, results, said.at_once)
    print(f"\n{table(trials)}")
    late = sum(each.outcome in ("after its end", "room enough") for each in trials)
    print(f"\n{len(trials)} trials; {late} of them met a command that had ended, or had room enough")
    faulty = [each for each in trials if each.fault is not None]
    for each in faulty:
        print(f"{each.job}, {each.kind} at {each.part:.3f}: {each.fault}")
    return int(bool(faulty))


if __name__ == "__main__":
    sys.exit(main())
