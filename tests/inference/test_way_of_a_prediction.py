"""How many of our files the prediction of a small image runs through, and how deep: what a reader has to follow."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import finewave
from finewave.inference.options import unfinished_folder
from finewave.inference.predict import predict_file
from finewave.io.open_save import load_scene
from tests.inference.tiny_models import save_model, write_scene

HOME = Path(finewave.__file__).parent
NETWORKS = (str(HOME / "systems" / "jssunet"), str(HOME / "systems" / "option_checks.py"), str(HOME / "nn"))
FILES, DEPTH = 53, 12
"""The bounds reached: functions of the network itself are left out, comprehensions are counted as Python does.

Of 53 files, 29 check names, understand and write a GeoTIFF: 21 of `finewave.io`, of which 12 read bands, numbers, masks
and storage that files state in many ways, and dates, places, wavelengths. 9 load the model by its card and choose its
arithmetic. 15 match bands, plan and run one tile: 13 of `finewave.inference`, names of colours, pixels without a value.
Fewer would be the same code in longer files.
"""


def ours(frame: FrameType) -> str | None:
    """Return the file of ours that a frame runs; None for other code, bodies of modules and classes, and networks."""
    file = frame.f_code.co_filename
    in_function = frame.f_code.co_flags & 1  # CO_OPTIMIZED
    if not in_function or not file.startswith(str(HOME)) or file.startswith(NETWORKS):
        return None
    return file


def callers(frame: FrameType | None) -> Iterator[str]:
    while frame is not None:
        if (file := ours(frame)) is not None:
            yield f"{Path(file).relative_to(HOME)}:{frame.f_code.co_name}"
        frame = frame.f_back


def test_a_small_image_goes_a_short_way(tmp_path: Path) -> None:
    """Once more files or calls are needed, say so here: raise the bound knowingly."""
    source, model = write_scene(tmp_path / "scene.tif", 20, 20), str(save_model(tmp_path / "tiny"))
    files: set[str] = set()
    deepest: list[str] = []

    def watch(frame: FrameType, event: str, value: Any) -> None:
        del value
        if event == "call" and (file := ours(frame)) is not None:
            files.add(file)
            path = list(callers(frame))
            if len(path) > len(deepest):
                deepest[:] = path

    sys.setprofile(watch)
    try:
        predict_file(source, tmp_path / "out.tif", model)
    finally:
        sys.setprofile(None)
    assert load_scene(tmp_path / "out.tif").shape == (4, 40, 40)
    assert len(files) <= FILES, sorted(files)
    assert len(deepest) <= DEPTH, deepest[::-1]


@pytest.mark.parametrize("suffix", [".tif", ".nc", ".zarr", ".img"])
def test_the_direct_way_and_the_one_by_a_store_end_alike(suffix: str, tmp_path: Path) -> None:
    """A store left by an earlier run of the same output is the only reason for the long way here."""
    source, model = write_scene(tmp_path / "scene.tif", 12, 14), save_model(tmp_path / "tiny")
    direct, stored = tmp_path / f"direct{suffix}", tmp_path / f"stored{suffix}"
    unfinished_folder(stored).mkdir()
    options: dict[str, Any] = {"spread": True, "dtype": "int16"}
    calls: dict[Path, list[tuple[int, int]]] = {direct: [], stored: []}
    for output, told in calls.items():
        predict_file(source, output, model, progress=lambda *call, told=told: told.append(call), **options)
    assert calls[direct] == calls[stored] == [(0, 1), (1, 1)]
    assert not unfinished_folder(stored).exists()
    for infix in ("", ".spread"):
        one, other = (load_scene(each.with_name(f"{each.stem}{infix}{suffix}")) for each in (direct, stored))
        np.testing.assert_array_equal(one.values, other.values)
        assert one.attrs == other.attrs
        assert sorted(map(str, one.coords)) == sorted(map(str, other.coords))
        for key in ("dtype", "_FillValue", "scale_factor"):
            assert repr(one.encoding.get(key)) == repr(other.encoding.get(key))  # of two NaN, too
