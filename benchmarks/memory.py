"""What a prediction takes of memory: ``python -m benchmarks.memory [--shipped] [MODEL[:BUDGET[:HEIGHTxWIDTH]] ...]``.

Each is a ``finewave predict`` of a made scene with some noise, `SIZE` pixels of the output if nothing else is said:
``mstpp-cave:4G:3000x4000`` is as large as a photograph of 12 megapixels. Without a budget (``mstpp-cave`` or
``mstpp-cave::3000x4000``) it runs with default options; ``--shipped`` is that for every weight that ships. Printed are
the tile, the peak of the process (resident, libraries included), of a budget its share, and processor time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.command_line import names_and_flags
from benchmarks.scene_run import write_scene
from finewave.inference.machine.memory import tile_within
from finewave.inference.options import bytes_of
from finewave.inference.request import make_request
from finewave.inference.tiling.plan import plan_tiles
from finewave.io.open_save import open_scene
from finewave.zoo.distribution.bundled_weights import weight_folders
from finewave.zoo.model import Model, load_model

SIZE = "1280x1280"
RUNS = (
    "jssunet-cave-x4:1G",
    "jssunet-cave-x4:2G",
    "mstpp-cave:1G",
    "mstpp-cave:2G",
    "awan-cave:1G",
    "sspsr-cave-x4:1G",
)
RGB = [600.0, 550.0, 450.0]


def main(arguments: list[str]) -> None:
    """Print a line for each run."""
    runs = [each for each in arguments if each != "--shipped"]
    if "--shipped" in arguments:
        runs += sorted(weight_folders())
    for run in runs or RUNS:
        name, budget, size = (*run.split(":"), "", "")[:3]
        height, width = (int(each) for each in (size or SIZE).split("x"))
        measure(name, budget, height, width)


def measure(name: str, budget: str, height: int, width: int) -> None:
    """Print the line of one run."""
    model = load_model(name).with_pooling("local")
    with tempfile.TemporaryDirectory(prefix="finewave-memory-") as folder:
        files = write_inputs(model, Path(folder), height // model.upscaling, width // model.upscaling)
        predict = ["predict", str(files[0]), "-o", f"{folder}/out.tif", "--model", name]
        predict += ["--guide", str(files[1])] if files[1:] else []
        with open_scene(files[0]) as scene, open_scene(files[-1]) as second:
            request = make_request(scene, model, second if files[1:] else None)
            tile = tile_within(budget or None, request, halo="auto")
            side = plan_tiles(model, *request.first.shape[1:], tile=tile).side
        predict += ["--memory", budget] if budget else []
        process = subprocess.Popen([sys.executable, "-m", "finewave", *predict], stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
    peak = used.ru_maxrss * 1024
    of_budget = f" ({peak / bytes_of(budget):.0%} of {budget})" if budget else ""
    print(
        f"{name}: tiles of {side}, peak {peak / 1e9:.2f} GB{of_budget}, "
        f"{used.ru_utime + used.ru_stime:.1f} s processor time, {'failed' if status else 'done'}",
        flush=True,
    )


def write_inputs(model: Model, folder: Path, height: int, width: int) -> list[Path]:
    """Write a scene of a size and what goes with it, of the model's bands."""
    card, files = model.card, []
    assert card is not None
    for name in model.inputs:
        wavelengths = card.wavelengths_nm if name.endswith("hsi") else card.ms_wavelengths_nm
        finer = 1 if name == model.inputs[0] else model.scale
        files.append(folder / f"{name}.tif")
        write_scene(files[-1], (finer * height, finer * width), (RGB if name == "ref_rgb" else wavelengths) or RGB)
    return files


if __name__ == "__main__":
    main(names_and_flags(__doc__, "--shipped", names="MODEL[:BUDGET[:HEIGHTxWIDTH]]"))
