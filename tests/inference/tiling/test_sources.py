"""Windows of scenes: bands, holes, files that change."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from finewave.inference.tiling import sources
from finewave.inference.tiling.sources import OpenScene, SceneFile, stamp_of
from finewave.io.open_save import load_scene, save_scene
from tests.inference.tiny_models import scene_of, write_scene

WINDOW = (slice(2, 7), slice(3, 4))


@pytest.mark.parametrize("bands", [[0, 1, 2], [4, 3], [9, 0, 5], [7]])
def test_bands_of_a_window_in_their_order(bands: list[int]) -> None:
    scene = scene_of(9, 8, bands=10)
    np.testing.assert_array_equal(OpenScene(scene, bands).read(WINDOW), scene.values[bands, 2:7, 3:4])
    np.testing.assert_array_equal(OpenScene(scene, bands).read(None), scene.values[bands])


def test_marked_values_are_missing() -> None:
    scene = scene_of(9, 8, attrs={"_FillValue": -9999.0})
    scene.values[1, 3, 3] = -9999
    assert np.isnan(OpenScene(scene, [0, 1]).read(WINDOW)).sum() == 1


def test_file_that_another_process_opens(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "scene.tif", 9, 8)
    source = SceneFile(str(path), (), (2, 0), stamp_of(path))
    sent = pickle.loads(pickle.dumps(source))
    expected = load_scene(path).values[[2, 0], 2:7, 3:4]
    np.testing.assert_array_equal(sent.read(WINDOW), expected)
    path.unlink()
    np.testing.assert_array_equal(source.read(WINDOW), expected)  # opened once in this process


def test_few_files_are_kept_open(tmp_path: Path) -> None:
    for i in range(sources.KEPT_OPEN + 2):
        path = write_scene(tmp_path / f"{i}.nc", 9, 8)
        SceneFile(str(path), (), (0,), stamp_of(path)).read(WINDOW)
    assert len(sources._OPEN.scenes) == sources.KEPT_OPEN


@pytest.mark.parametrize("name", ["scene.tif", "scene.img", "scene.zarr"])
def test_stamp_changes_with_any_part_of_a_scene(name: str, tmp_path: Path) -> None:
    path = write_scene(tmp_path / name, 9, 8)
    (tmp_path / "other.txt").write_text("no part of it")
    before = stamp_of(path)
    assert stamp_of(path) == before
    part = {"scene.img": tmp_path / "scene.hdr", "scene.zarr": path / "scene" / "0.0.0"}.get(name, path)
    status = part.stat()
    os.utime(part, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))
    assert stamp_of(path) != before


def test_scenes_of_dask_arrays_and_scenes_in_files_are_saved_block_by_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from finewave.io.open_save import open_scene

    path = write_scene(tmp_path / "in.tif", 30, 40)
    expected = load_scene(path)
    monkeypatch.setattr("finewave.io.formats.values.lazy._WHOLE_BYTES", 0)
    for name in ("out.nc", "out.zarr", "out.h5", "out.tif", "out.img"):
        for how, scene in (("lazy", open_scene(path)), ("dask", open_scene(path, chunks={"y": 7, "x": 11}))):
            target = tmp_path / f"{how}-{name}"
            save_scene(scene, target, dtype="uint16")
            result = load_scene(target)
            np.testing.assert_allclose(result.values, expected.values, atol=0.51e-4)
            np.testing.assert_array_equal(result.wavelength, expected.wavelength)
            assert result.rio.transform() == expected.rio.transform()
