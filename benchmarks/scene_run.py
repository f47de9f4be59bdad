"""A whole scene through ``finewave predict``, as a process of its own: time, and memory of all its processes.

``python -m benchmarks.scene_run`` prints the figures of a user who sets no options, which are the first rows of
``finewave bench scenes``.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import Case, scene_cases
from benchmarks.command_line import names_and_flags
from finewave.inference.tiling.resume import finished_tiles

SAMPLING_SECONDS = 0.05


def measure_scene(case: Case) -> dict[str, Any]:
    """Return ``seconds``, ``peak_bytes`` of all processes together, ``pixels`` of the output and the ``load`` before.

    ``processor_seconds`` is user and system time of all of them: on a machine that does other work, too, only this and
    the memory mean something.

    Of the seconds, ``tiles_seconds`` are those from the first finished tile to the last, in which ``tiles`` more were
    made and ``cores`` were busy, processor time by time; ``start_seconds`` were before, ``file_seconds`` after, when
    the output is written.

    The process begins with loading PyTorch and ends when the output has its name: that is what a user waits for.
    Memory is the sum of each process's own peak, an upper bound where they do not fall together.
    """
    if not Path("/proc/self/status").exists():
        raise RuntimeError("the memory of other processes is read from /proc, which is not there")
    o = case.options
    load = round(os.getloadavg()[0], 2)
    with tempfile.TemporaryDirectory(prefix="finewave-bench-") as folder:
        source, output, model = (Path(folder) / name for name in ("scene.tif", f"result{o['format']}", "model"))
        bands = o["config"]["ms_bands"]
        if o.get("weights"):
            model, scale, wavelengths = shipped(o["weights"])
        else:
            scale, wavelengths = _write_model(model, o["network"], o["config"]), [*np.linspace(450, 850, bands)]
        write_scene(source, o["size"], wavelengths)
        said = ["--halo", o["halo"], "--dtype", "uint16", "--device", o["device"], "--precision", case.precision]
        said = [] if o.get("no_options") else said
        said += ["--tile", str(o["tile"])] if o.get("tile") else []
        said += ["--workers", str(o["workers"])] if o.get("workers") else []
        command = [sys.executable, "-m", "finewave", "predict", source, "-o", output, "--model", model, *said]
        threads = {"OMP_NUM_THREADS": str(o["threads"])} if o.get("threads") else {}
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        with (Path(folder) / "said.txt").open("w+") as words:
            process = subprocess.Popen(command, env=os.environ | threads, stdout=words, stderr=words)
            clock = _Tiles(output)
            peak = watch(process, clock.look)
            seconds = time.perf_counter() - start
            words.seek(0)
            if process.returncode != 0:
                raise RuntimeError((words.read().strip().splitlines() or ["no output"])[-1])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    pixels = o["size"][0] * o["size"][1] * scale**2
    phases = clock.phases(start, start + seconds)
    figures = {"seconds": seconds, "processor_seconds": processor, "peak_bytes": peak, "pixels": pixels, "load": load}
    return {**figures, **phases}


class _Tiles:
    """When the first and the last tile of an output were finished."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.seen: list[tuple[int, float, float]] = []  # how many there were, since when, after what processor time

    def look(self, processor_seconds: float) -> None:
        """Take note, if there are more than before."""
        count = finished_tiles(self.output)
        if count > (self.seen[-1][0] if self.seen else 0):
            self.seen.append((count, time.perf_counter(), processor_seconds))

    def phases(self, start: float, end: float) -> dict[str, float]:
        """Return the figures; see `measure_scene`. A single tile may come and go between two looks."""
        nothing = (0, end, 0.0)
        (first, since, before), (last, until, after) = (self.seen[0], self.seen[-1]) if self.seen else (nothing,) * 2
        return {
            "start_seconds": since - start,
            "tiles_seconds": until - since,
            "file_seconds": end - until,
            "tiles": last - first,
            "cores": (after - before) / (until - since) if until > since else 0.0,
        }


def _write_model(folder: Path, network: str, config: dict[str, Any]) -> int:
    """Save an untrained network: neither time nor memory depend on what its weights are."""
    import torch

    from finewave.systems.registry import create_model
    from finewave.zoo.card import describe
    from finewave.zoo.model import Model

    torch.manual_seed(0)
    net: Any = create_model(network, **config)
    input_nm, output_nm = ([*np.linspace(450, 850, bands)] for bands in (net.ms_bands, net.hs_bands))
    Model(net, describe(net, wavelengths_nm=output_nm, ms_wavelengths_nm=input_nm)).save(folder)
    return int(net.scale)


def shipped(name: str) -> tuple[Path, int, list[float]]:
    """Return the name of weights that ship as a path, their scale and the wavelengths of their input in nm."""
    from finewave.zoo.model import load_model

    model = load_model(name)
    assert model.card is not None
    return Path(name), model.upscaling, model.card.ms_wavelengths_nm or []


def write_scene(path: Path, size: tuple[int, int], wavelengths: list[float]) -> None:
    """Save a georeferenced scene of uint16, whose texture compresses about as badly as a photograph's."""
    from finewave.io.open_save import save_scene
    from finewave.scene import make_scene, with_georeference

    rows, columns = size
    random = np.random.default_rng(0)
    y, x = np.arange(rows, dtype=np.float32)[:, None], np.arange(columns, dtype=np.float32)
    values = np.empty((len(wavelengths), rows, columns), np.float32)
    for band in range(len(wavelengths)):
        waves = np.sin(x / (17 + band)) * np.cos(y / (29 + band))
        values[band] = 0.4 + 0.2 * waves + 0.02 * random.standard_normal(size, dtype=np.float32)
    scene = make_scene(np.clip(values, 0, 1), wavelengths=wavelengths)
    place = ("EPSG:32633", (10.0, 0.0, 300_000.0, 0.0, -10.0, 5_200_000.0))
    save_scene(with_georeference(scene, *place), path, dtype="uint16")


def watch(process: subprocess.Popen[Any], look: Callable[[float], None] = lambda _: None) -> int:
    """Wait for a process, and return the sum of the peaks of it and of all below it, in bytes (Linux).

    ``look`` is called all the while, with the processor time of all of them so far, in seconds.
    """
    peaks: dict[int, int] = {}
    used: dict[int, float] = {}
    while process.poll() is None:
        for pid in _tree(process.pid):
            peaks[pid] = max(peaks.get(pid, 0), _own_peak(pid))
            used[pid] = max(used.get(pid, 0.0), _own_processor_seconds(pid))
        look(sum(used.values()))
        time.sleep(SAMPLING_SECONDS)
    return sum(peaks.values())


def _tree(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in path.read_text().split()]
            except OSError:  # it has ended meanwhile
                continue
    return found


def _own_peak(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def _own_processor_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # a name may have blanks
    except OSError:
        return 0.0
    user, system = fields[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print the figures of the default options."""
    from benchmarks.measure import measure  # which imports this module, and resolves the precision

    for case in scene_cases(("defaults", "photograph"), quick=False, device="cpu"):
        found = measure(case)
        rows, columns = case.options["size"]
        print(
            f"{case.options['weights']}, {rows} x {columns} pixels to {case.options['format']}: "
            f"{found['processor_seconds']:.1f} s of processor time, {found['peak_bytes'] / 1e9:.2f} GB; "
            f"{found['seconds']:.1f} s by the clock at a load of {found['load']}",
            flush=True,
        )


if __name__ == "__main__":
    names_and_flags(__doc__)
    main()
