"""``make fuzz``: thousands of changed files through the readers; a table of what came of them.

python -m tests.fuzz.campaign [--count 5000] [--seconds 1500] [--seed 18]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.bases import write_bases

HANG_SECONDS = 10.0
_SILENCE_SECONDS = 60.0


@dataclass
class Tally:
    """What came of the files of one kind."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    most_bytes: int = 0
    faults: list[str] = field(default_factory=list)

    def count(self, seed: int, told: dict) -> None:
        self.outcomes[told["outcome"]] += 1
        self.slowest = max(self.slowest, told["seconds"])
        self.most_bytes = max(self.most_bytes, told["bytes"])
        if told["outcome"] in ("foreign", "more than a line"):
            self.faults.append(f"seed {seed}: {told['outcome']}: {told['words']}")
        if told["seconds"] > HANG_SECONDS:
            self.faults.append(f"seed {seed}: {told['seconds']:.1f} s")
        if told["bytes"] > 2**30 + 10 * told["size"]:
            self.faults.append(f"seed {seed}: {told['bytes'] / 1e6:.0f} MB of memory for {told['size']} bytes")


def run(base: Path, folder: Path, first: int, count: int, deadline: float) -> Tally:
    """Open ``count`` changed files of one kind, in as many processes as they end."""
    tally = Tally()
    done = 0
    while done < count and time.monotonic() < deadline:
        command = [
            sys.executable,
            "-m",
            "tests.fuzz.look",
            str(base),
            str(folder),
            str(first + done),
            str(count - done),
        ]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        ) as process:
            assert process.stdout is not None
            seed: int | None = None
            for line in process.stdout:
                told = json.loads(line)
                if "seed" in told:
                    seed = told["seed"]
                    continue
                assert seed is not None
                tally.count(seed, told)
                done += 1
                seed = None
                if time.monotonic() > deadline:
                    process.kill()
            code = process.wait(_SILENCE_SECONDS)
        if seed is not None and time.monotonic() < deadline:
            tally.outcomes["crashed"] += 1
            tally.faults.append(f"seed {seed}: the process ended with {code}")
            done += 1
        elif code and time.monotonic() < deadline:
            tally.faults.append(f"the process ended with {code} before any file")
            break
    return tally


def campaign(count: int, seconds: float, seed: int) -> dict[str, Tally]:
    """Share ``count`` files and ``seconds`` among all kinds."""
    tallies: dict[str, Tally] = {}
    with tempfile.TemporaryDirectory() as folder:
        bases = write_bases(Path(folder) / "bases")
        end = time.monotonic() + seconds
        share = -(-count // len(bases))
        for number, (name, base) in enumerate(bases.items()):
            left = (end - time.monotonic()) / (len(bases) - number)
            deadline = time.monotonic() + left
            tallies[name] = run(base, Path(folder) / "changed", seed * 10**6 + number * 10**4, share, deadline)
    return tallies


def table(tallies: dict[str, Tally]) -> str:
    """Return a line for each kind, and for all."""
    lines = [f"{'kind':20} {'files':>6} {'read':>6} {'refused':>8} {'faults':>7} {'slowest':>9} {'memory':>9}"]
    for name, each in tallies.items():
        lines.append(
            f"{name:20} {each.outcomes.total():6} {each.outcomes['read']:6} {each.outcomes['refused']:8} "
            f"{len(each.faults):7} {each.slowest:7.2f} s {each.most_bytes / 1e6:6.0f} MB"
        )
    everything = sum((each.outcomes for each in tallies.values()), Counter())
    faults = sum(len(each.faults) for each in tallies.values())
    lines.append(f"{'all':20} {everything.total():6} {everything['read']:6} {everything['refused']:8} {faults:7}")
    return "\n".join(lines)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--count", type=int, default=5000)
    options.add_argument("--seconds", type=float, default=1500.0)
    options.add_argument("--seed", type=int, default=18)
    given = options.parse_args()
    tallies = campaign(given.count, given.seconds, given.seed)
    print(table(tallies))
    for name, each in tallies.items():
        for fault in each.faults:
            print(f"{name}: {fault}")
    sys.exit(any(each.faults for each in tallies.values()))


if __name__ == "__main__":
    main()
