"""The first picture of a scene of 4,096 x 4,096 pixels and 31 bands comes soon, with overviews and without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.viz.browser.test_large_scene import SIDE, large_scene

MOST_SECONDS = 4.0
"""Twice what is asked for: the time depends on the processor, and a look at all of the scene takes far more."""
ROUNDS = 3
FIRST_PICTURE = """
import sys, time
from finewave.viz.scene_pair import open_scene_pair
from finewave.viz.server.pictures import Painter
from finewave.viz.server.state import usual_state
from finewave.viz.windows import Frame

start = time.process_time()
view = open_scene_pair(sys.argv[1])
painter, state = Painter(view), usual_state(view)
frame = Frame(0, view.size[1], 0, view.size[0], 720, 720)
quick = painter.is_slow("result", frame)
picture = painter.preview("result", state) if quick else painter.paint("result", state, frame)
first = time.process_time() - start
assert picture is not None and len(painter.rendering("result", state).bands) == 31
painter.paint("result", state, frame)
print(int(quick), first, time.process_time() - start)
"""


@pytest.mark.slow
@pytest.mark.parametrize("overviews", [True, False], ids=["overviews", "none"])
def test_the_first_picture_takes_seconds_of_a_processor(overviews: bool, tmp_path: Path) -> None:
    path = large_scene(tmp_path / "large.tif", overviews)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    best = float("inf")
    for _ in range(ROUNDS):  # other work makes a round slow, nothing makes one quick
        command = [sys.executable, "-c", FIRST_PICTURE, str(path)]
        quick, first, whole = subprocess.check_output(command, text=True, env=environment).split()
        print(f"{SIDE} pixels: first picture {float(first):.2f} s, exact one {float(whole):.2f} s")
        assert int(quick) == (not overviews)
        best = min(best, float(first))
        if best < MOST_SECONDS:
            return
    assert best < MOST_SECONDS
