"""The process that opens changed files: a line for each, before it and after; whoever started it sees if it ends."""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path


def peak_bytes() -> int:
    """Return the largest memory since `forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def forget_peak() -> None:
    """Begin to measure anew."""
    Path("/proc/self/clear_refs").write_text("5")


def size_of(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else path.parent.glob(f"{path.stem}.*")
    return sum(each.stat().st_size for each in files if each.is_file())


def main(base: str, folder: str, first: str, count: str) -> None:
    from finewave.errors import InputError
    from finewave.io.open_save import load_scene
    from tests.fuzz.mutations import write_mutated

    warnings.simplefilter("ignore")
    load_scene(base)  # what is loaded once does not count
    for seed in range(int(first), int(first) + int(count)):
        path = write_mutated(Path(base), Path(folder), seed)
        print(json.dumps({"seed": seed}), flush=True)
        forget_peak()
        before = peak_bytes()
        start = time.perf_counter()
        words = ""
        try:
            load_scene(path)
            outcome = "read"
        except InputError as error:
            outcome, words = "refused", str(error)
            if "\n" in words:
                outcome = "more than a line"
        except BaseException as error:
            outcome, words = "foreign", f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - start
        size = size_of(path) if path.exists() else 0
        more = peak_bytes() - before
        told = {"outcome": outcome, "words": words[:300], "seconds": seconds, "bytes": more, "size": size}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
