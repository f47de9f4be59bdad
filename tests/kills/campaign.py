"""``make kills``: commands killed at random moments and run out of disk, then given again; a table of what came of it.

python -m tests.kills.campaign [--moments 20] [--seed 18] [--jobs NAME ...]

Starting Python with PyTorch takes seconds: one process has all imported, without a thread, and forks for each run.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from tests.kills.jobs import JOBS, Job, contents, left_over, write_inputs, write_store

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
PATIENCE = 600.0  # seconds for a run or its end: a machine may be busy
CHILDREN_S = 60.0
DISK = "full disk"
BESIDE = "second run"


@dataclass
class Tally:
    """What came of one kind of trouble for one command."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return ", ".join(f"{count} {what}" for what, count in sorted(self.outcomes.items()))


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


def _become(job: Job, inputs: Path, folder: Path, limit: int | None) -> NoReturn:
    """Be the command line in a forked process."""
    os.setpgid(0, 0)
    words = job.words(inputs, folder / "outputs")
    os.environ["FINEWAVE_PREPARED"] = str(folder / "outputs" if job.prepares else inputs / "prepared")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    status = 1
    try:
        from finewave.cli import main

        main(words)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException as error:  # Python's own end of a program that a signal meets before it is ready
        print(f"error: {type(error).__name__}", file=sys.stderr)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(status)


def start(job: Job, inputs: Path, folder: Path, limit: int | None = None) -> int:
    """Start a command; return its process."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        _become(job, inputs, folder, limit)
    with suppress(OSError):  # the child does it, too: whoever is first
        os.setpgid(pid, pid)
    return pid


def end_of(pid: int) -> int:
    """Return the exit status of a process, negative for a signal; and end it if it does not."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return -999


def children_of(group: int) -> bool:
    """Whether processes of a group are left after a while; they are ended then."""
    until = time.monotonic() + CHILDREN_S
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.05)
    os.killpg(group, signal.SIGKILL)
    return True


class Place:
    """Inputs and a calm run of a job to compare with."""

    def __init__(self, job: Job, inputs: Path, folder: Path) -> None:
        self.job, self.inputs, self.folder = job, inputs, folder
        self.outputs = folder / "outputs"
        self.fresh()
        begun = time.monotonic()
        status = self.run()
        self.seconds = time.monotonic() - begun
        if status != 0:
            raise RuntimeError(f"{job.name} ends with {status} by itself:\n{self.log()}")
        self.expected = contents(self.outputs)
        assert not left_over(self.outputs), left_over(self.outputs)

    def fresh(self) -> None:
        shutil.rmtree(self.outputs, ignore_errors=True)
        self.outputs.mkdir()

    def run(self) -> int:
        pid = start(self.job, self.inputs, self.folder)
        status = end_of(pid)
        return -998 if children_of(pid) else status

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def again(self) -> str | None:
        """Give the same command; return what is not as after a calm run."""
        status = self.run()
        if status != 0:
            return f"the same command then ends with {status}: {self.log()[-300:]}"
        found = contents(self.outputs)
        differing = sorted(name for name in {*found, *self.expected} if found.get(name) != self.expected.get(name))
        if differing:
            return f"other bytes than without: {', '.join(differing[:4])}"
        remains = left_over(self.outputs)
        return f"left over: {', '.join(remains[:4])}" if remains else None

    def killed(self, number: signal.Signals, part: float, tally: Tally) -> None:
        """Send a signal when a part of the usual time is over."""
        self.fresh()
        pid = start(self.job, self.inputs, self.folder)
        time.sleep(part * self.seconds)
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        status = end_of(pid)
        about = f"{self.job.name}, {number.name} at {part:.3f}"
        if status == 0:
            tally.outcomes["after its end"] += 1
        elif number != signal.SIGKILL and status != -number and (status != 1 or "Traceback" in self.log()):
            tally.faults.append(f"{about}: status {status}: {self.log()[-300:]}")
        if children_of(pid):
            tally.faults.append(f"{about}: a child process stayed")
        held = [name for name in left_over(self.outputs) if name.endswith(".lock")]
        if number != signal.SIGKILL and status == 1 and held:
            tally.faults.append(f"{about}: a lock stayed: {', '.join(held)}")
        fault = self.again()
        if fault is not None:
            tally.faults.append(f"{about}: {fault}")
        elif status != 0:
            tally.outcomes["the same bytes"] += 1

    def without_room(self, part: float, tally: Tally) -> None:
        """Run with room for a part of the output, then with room enough."""
        self.fresh()
        needed = sum(path.stat().st_size for path in self.calm_files())
        about = f"{self.job.name}, {DISK} at {part:.3f}"
        with small_disk(self.outputs, max(4096, int(part * needed))) as (room, limit):
            pid = start(self.job, self.inputs, self.folder, limit)
            status = end_of(pid)
            if status == 0:
                tally.outcomes["room enough"] += 1
            elif status != 2 or len(self.errors()) != 1:
                tally.faults.append(f"{about}: status {status}, {len(self.errors())} lines: {self.log()[-400:]}")
            room(2**28)
            fault = self.again()
        if fault is not None:
            tally.faults.append(f"{about}: {fault}")
        elif status != 0:
            tally.outcomes["the same bytes"] += 1

    def calm_files(self) -> list[Path]:
        return [path for path in (self.folder / "calm").rglob("*") if path.is_file()]

    def keep_calm(self) -> None:
        """Keep the calm run's files for their sizes."""
        shutil.copytree(self.outputs, self.folder / "calm")

    def errors(self) -> list[str]:
        return [line for line in self.log().splitlines() if line.startswith("error")]

    def beside(self, tally: Tally) -> None:
        """Give the command a second time while the first one has its output."""
        self.fresh()
        first = start(self.job, self.inputs, self.folder)
        status = None
        while not list(self.outputs.rglob(".*.lock")) and status is None:
            done, ended = os.waitpid(first, os.WNOHANG)
            status = ended if done else None
            time.sleep(0.001)
        os.killpg(first, signal.SIGSTOP)
        second = end_of(start(self.job, self.inputs, self.folder))
        said = self.log()
        os.killpg(first, signal.SIGCONT)
        about = f"{self.job.name}, {BESIDE}"
        if second != 2 or "another run is writing" not in said or len(self.errors()) > 1:
            tally.faults.append(f"{about}: status {second}: {said[-300:]}")
        if end_of(first) != 0 or contents(self.outputs) != self.expected or left_over(self.outputs):
            tally.faults.append(f"{about}: the first one is not as without: {self.log()[-300:]}")
        if not tally.faults:
            tally.outcomes["refused in one line"] += 1


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


def in_fork(work, *arguments) -> None:
    """Do what starts threads in a process of its own."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            work(*arguments)
            os._exit(0)
        finally:
            os._exit(1)
    if os.waitpid(pid, 0)[1]:
        raise RuntimeError(f"{work.__name__} failed")


def run(names: list[str], moments: int, seed: int, kinds: list[str], say=print) -> dict[tuple[str, str], Tally]:
    """Run the matrix; return a tally by command and kind of trouble."""
    preload()
    tallies: dict[tuple[str, str], Tally] = {}
    with tempfile.TemporaryDirectory(prefix="finewave-kills-") as made:
        top = Path(made)
        inputs = top / "inputs"
        (inputs / "prepared").mkdir(parents=True)
        in_fork(write_inputs, inputs)
        in_fork(write_store, inputs)
        os.environ["FINEWAVE_DATA"] = str(top / "none")
        os.chdir(top)
        for name in names:
            folder = top / name.replace(" ", "-")
            folder.mkdir()
            place = Place(JOBS[name], inputs, folder)
            place.keep_calm()
            for kind in kinds:
                tally = tallies[name, kind] = Tally()
                chance = random.Random(f"{seed} {name} {kind}")
                if kind == BESIDE:
                    place.beside(tally)
                for part in sorted(chance.uniform(0, 1) for _ in range(moments if kind != BESIDE else 0)):
                    if kind == DISK:
                        place.without_room(part, tally)
                    else:
                        place.killed(signal.Signals[kind], part, tally)
                say(f"{name:20}{kind:12}{tally}", flush=True)
                for fault in tally.faults:
                    say(f"    {fault}", flush=True)
    return tallies


KINDS = [*(each.name for each in SIGNALS), DISK, BESIDE]


def table(tallies: dict[tuple[str, str], Tally]) -> str:
    """Return a table in Markdown: of each, how many were as without."""
    kinds = list(dict.fromkeys(kind for _, kind in tallies))
    lines = [f"| command | {' | '.join(kinds)} |", f"|---{'|---' * len(kinds)}|"]
    for name in dict.fromkeys(name for name, _ in tallies):
        cells = []
        for kind in kinds:
            tally = tallies[name, kind]
            good = sum(tally.outcomes.values())
            cells.append(f"{good} of {good + len(tally.faults)}")
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Print the table; 1 if anything was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=20, help="of each kind for each command")
    parser.add_argument("--seed", type=int, default=18)
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    said = parser.parse_args()
    tallies = run(said.jobs, said.moments, said.seed, said.kinds)
    print(f"\n{table(tallies)}")
    return int(any(tally.faults for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
