"""What `--memory` keeps: ``python -m benchmarks.memory [MODEL:BUDGET[:HEIGHTxWIDTH] ...]``.

Each is a ``finewave predict`` of a made scene, `SIZE` pixels of the output if nothing else is said:
``mstpp-cave:4G:3000x4000`` is as large as a photograph of 12 megapixels. Printed are the tile, the peak of the process
(resident, libraries included) beside the budget, and processor time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.command_line import names_and_flags
from benchmarks.scene_run import shipped, write_scene
from finewave.inference.machine.memory import tile_within
from finewave.inference.options import bytes_of
from finewave.inference.request import make_request
from finewave.io.open_save import open_scene
from finewave.zoo.model import load_model

SIZE = "1280x1280"
RUNS = (
    "jssunet-cave-x4:1G",
    "jssunet-cave-x4:2G",
    "mstpp-cave:1G",
    "mstpp-cave:2G",
    "awan-cave:1G",
    "sspsr-cave-x4:1G",
)


def main(runs: list[str]) -> None:
    """Print a line for each run."""
    for run in runs or RUNS:
        name, budget, size = (*run.split(":"), SIZE)[:3]
        height, width = (int(each) for each in size.split("x"))
        model = load_model(name).with_pooling("local")
        with tempfile.TemporaryDirectory(prefix="finewave-memory-") as folder:
            source = Path(folder) / "scene.tif"
            card = model.card
            assert card is not None
            wavelengths = shipped(name)[2] or card.wavelengths_nm or []
            write_scene(source, (height // model.upscaling, width // model.upscaling), wavelengths)
            with open_scene(source) as scene:
                tile = tile_within(budget, make_request(scene, model), halo="auto")
            predict = ["predict", str(source), "-o", f"{folder}/out.tif", "--model", name, "--memory", budget]
            process = subprocess.Popen([sys.executable, "-m", "finewave", *predict], stderr=subprocess.DEVNULL)
            _, status, used = os.wait4(process.pid, 0)
            peak = used.ru_maxrss * 1024
            print(
                f"{name}: {budget}, tiles of {tile}, peak {peak / 1e9:.2f} GB ({peak / bytes_of(budget):.0%}), "
                f"{used.ru_utime + used.ru_stime:.1f} s processor time, {'failed' if status else 'done'}",
                flush=True,
            )


if __name__ == "__main__":
    main(names_and_flags(__doc__, names="MODEL:BUDGET[:HEIGHTxWIDTH]"))
