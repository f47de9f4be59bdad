"""Files of hostile structure: the right answer in little memory, and no byte of another file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.io.hostile_files import FILES, MARK, READ, REFUSED, values

LOOK = """
import json, resource, sys, warnings
from pathlib import Path
from finewave.errors import InputError
from finewave.io.open_save import load_scene
from tests.io.hostile_files import MARK
warnings.simplefilter("ignore")
for line in sys.stdin:
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = {}
    try:
        scene = load_scene(line.strip(), full_scale=1)
        told = {"answer": "read", "sum": float(scene.astype("float64").sum()), "shown": bool((scene == MARK).any())}
    except InputError as error:
        told = {"answer": "refused", "words": str(error)}
    except BaseException as error:
        told = {"answer": "foreign", "words": f"{type(error).__name__}: {error}"}
    told["megabytes"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) / 1024
    print(json.dumps(told), flush=True)
"""


@pytest.fixture(scope="module")
def look() -> object:
    """What opens a path in another process, which is started once."""
    command = [sys.executable, "-c", LOOK]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def ask(path: Path) -> dict:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{path}\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline() or '{"answer": "crashed"}')

        yield ask
        assert process.stdin is not None
        process.stdin.close()
        process.terminate()


@pytest.mark.timeout(120)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="made of links and pipes")
@pytest.mark.parametrize("name", FILES)
def test_the_right_answer(name: str, look, tmp_path: Path) -> None:
    answer, build = FILES[name]
    np.full(768, MARK, np.uint16).tofile(tmp_path / "secret.raw")
    told = look(build(tmp_path))
    assert told["answer"] in ((READ, REFUSED) if answer == "either" else (answer,)), told
    assert told["megabytes"] < 1024
    if told["answer"] == READ:
        assert not told["shown"]
        assert name.startswith("png") or told["sum"] == pytest.approx(float(values().sum()), rel=1e-3)
    else:
        assert "\n" not in told["words"]
