"""Work that is stopped, in whatever way, goes on where it was."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finewave.errors import InputError
from finewave.inference.machine import engine
from finewave.inference.predict import predict_file
from finewave.inference.super_resolve import super_resolve
from finewave.inference.tiling.resume import unfinished_folder
from finewave.io.open_save import load_scene, open_scene
from finewave.io.sole_writer import sole_writer
from tests.fork_server import ForkServer
from tests.inference.tiny_models import save_model, scene_of, write_scene
from tests.io.scene_helpers import full_disk

TILE = 20
KILLED = """
import os, signal, sys
from finewave.inference.machine import engine
from finewave.inference.predict import predict_file

write, written = engine.ResumeStore.write, []

def write_and_die(self, number, *rest):
    if len(written) == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
    written.append(number)
    write(self, number, *rest)

engine.ResumeStore.write = write_and_die
engine.THREADS = 1
predict_file(*sys.argv[1:4], tile=20)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A scene of 3 x 4 tiles."""
    return write_scene(tmp_path / "scene.tif", 50, 75)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the tiles that go through the network from here on."""
    run_tile, numbers = engine.run_tile, []

    def counted(model: Any, images: Any, tile: Any, tiling: Any, processing: Any) -> Any:
        numbers.append(list(tiling).index(tile))
        return run_tile(model, images, tile, tiling, processing)

    monkeypatch.setattr(engine, "run_tile", counted)
    return numbers


def expected_of(source: Path, model: Path) -> np.ndarray:
    output = source.with_name("expected.zarr")
    predict_file(source, output, model, tile=TILE)
    return load_scene(output).values


def stop_after(tiles: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process be interrupted while it is at the tile after so many, as by Ctrl-C."""
    write, written = engine.ResumeStore.write, []

    def interrupted(self: Any, number: int, *rest: Any) -> None:
        if len(written) == tiles:
            raise KeyboardInterrupt
        written.append(number)
        write(self, number, *rest)

    monkeypatch.setattr(engine, "THREADS", 1)
    monkeypatch.setattr(engine.ResumeStore, "write", interrupted)


def finished_in(output: Path) -> set[int]:
    """Return the numbers of the tiles that are kept."""
    return {int(each.stem) for each in (unfinished_folder(output) / "done").glob("*.json")}


def stopped(source: Path, output: Path, model: Path, tiles: int = 5) -> Path:
    """Leave an unfinished output and return its hidden folder."""
    with pytest.MonkeyPatch.context() as patch:
        stop_after(tiles, patch)
        with pytest.raises(KeyboardInterrupt):
            predict_file(source, output, model, tile=TILE)
    return unfinished_folder(output)


def test_killed_at_half_only_what_was_in_flight_is_made_again(
    source: Path, model: Path, made: list[int], fork_server: ForkServer
) -> None:
    expected = expected_of(source, model)
    assert sorted(made) == list(range(12))
    made.clear()
    output = source.with_name("out.tif")
    done = fork_server.run(KILLED, source, output, model, "6")
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not output.exists()
    kept = finished_in(output)
    assert len(kept) == 6
    calls = []
    predict_file(source, output, model, tile=TILE, progress=lambda *call: calls.append(call))
    assert sorted(made) == sorted(set(range(12)) - kept)
    assert calls == [(n, 12) for n in range(6, 13)]
    np.testing.assert_array_equal(load_scene(output).values, expected)
    assert sorted(each.name for each in source.parent.iterdir()) == ["expected.zarr", "out.tif", "scene.tif"]


def test_nothing_is_made_again_after_a_kill_while_the_output_is_written(
    source: Path, model: Path, made: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: Any) -> None:
        raise KeyboardInterrupt

    output = source.with_name("out.nc")
    with monkeypatch.context() as patch:
        patch.setattr("finewave.inference.predict_file._finish", fails)
        with pytest.raises(KeyboardInterrupt):
            predict_file(source, output, model, tile=TILE)
    made.clear()
    predict_file(source, output, model, tile=TILE)
    assert made == []
    assert load_scene(output).shape == (4, 100, 150)


def test_tiles_that_were_damaged_are_made_again(source: Path, model: Path, made: list[int]) -> None:
    """The machine may go off before what was written has reached the disk."""
    output = source.with_name("out.zarr")
    folder = stopped(source, output, model)
    first, second, *others = finished_in(output)
    assert len(others) == 3
    cut, lost = (folder / "scene.zarr" / "scene" / f"0.{n // 4}.{n % 4}" for n in (first, second))
    cut.write_bytes(cut.read_bytes()[:40])
    lost.unlink()
    made.clear()
    predict_file(source, output, model, tile=TILE)
    assert sorted(made) == sorted(set(range(12)) - set(others))
    np.testing.assert_array_equal(load_scene(output).values, expected_of(source, model))


@pytest.mark.parametrize("what", ["input", "model", "options", "version"])
def test_other_work_under_the_same_name_is_refused(
    what: str, source: Path, model: Path, made: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = source.with_name("out.zarr")
    stopped(source, output, model)
    options: dict[str, Any] = {"tile": TILE}
    again = "Repeat that command"
    expected = {
        "input": f"input lr_msi was different. {again}",
        "model": f"model was different. {again}",
        "options": f"halo, storage were different. {again}",
        "version": "version was different. Finish it with that version",
    }
    if what == "input":
        write_scene(source, 50, 75, attrs={"title": "another scene"})
    elif what == "model":
        model = save_model(tmp_path / "tiny", crop=16)
        tensors = {k: v.clone() for k, v in _weights(model).items()}
        next(iter(tensors.values())).add_(0.1)
        _save_weights(model, tensors)
    elif what == "version":
        monkeypatch.setattr("finewave.__version__", "0.0.0")
    else:
        options |= {"halo": 3, "dtype": "uint16"}
    with pytest.raises(InputError, match=f"{expected[what]}.*--restart"):
        predict_file(source, output, model, **options)
    made.clear()
    predict_file(source, output, model, restart=True, **options)
    assert sorted(made) == list(range(12))
    assert open_scene(output).shape == (4, 100, 150)


def _weights(folder: Path) -> Any:
    from finewave.zoo.model import load_model

    return load_model(folder).net.state_dict()


def _save_weights(folder: Path, tensors: Any) -> None:
    from finewave.zoo.model import load_model

    model = load_model(folder)
    model.net.load_state_dict(tensors)
    model.save(folder)


def test_two_runs_of_one_output(source: Path, model: Path) -> None:
    output = source.with_name("out.tif")
    for tile in (TILE, 200):  # twelve tiles, and one
        with sole_writer(output), pytest.raises(InputError, match="another run is writing"):
            predict_file(source, output, model, tile=tile)
        predict_file(source, output, model, tile=tile)
    assert sorted(each.name for each in source.parent.iterdir()) == ["out.tif", "scene.tif"]


@pytest.mark.parametrize("name", ["out.zarr", "out.tif"])
def test_full_disk(name: str, source: Path, model: Path, made: list[int]) -> None:
    output = source.with_name(name)
    expected = expected_of(source, model)
    folder = stopped(source, output, model, tiles=3)
    told = r"cannot write.*the file grew too large.*Finished tiles are kept: the same command"
    with full_disk(2000), pytest.raises(InputError, match=told):
        predict_file(source, output, model, tile=TILE)
    assert {each.suffix for each in folder.glob("scene.tiles/*")} <= {".npy"}  # nothing unfinished takes space
    assert not output.exists()
    kept = finished_in(output)
    assert 3 <= len(kept) < 12
    made.clear()
    predict_file(source, output, model, tile=TILE)
    assert sorted(made) == sorted(set(range(12)) - kept)
    np.testing.assert_array_equal(load_scene(output).values, expected)


@pytest.mark.parametrize("name", ["out.zarr", "out.tif"])
def test_what_a_killed_run_was_writing_is_removed(name: str, source: Path, model: Path) -> None:
    output = source.with_name(name)
    folder = stopped(source, output, model, tiles=2)
    store = next(folder.glob("scene.*"))
    half = [
        "0.0.9.12ab.partial" if name == "out.zarr" else "9.1401",
        "../done/9.1401",
        "../trial.tif",
        "../job.json.new",
    ]
    for each in half:
        (store / each).write_bytes(b"half of it")
    stopped(source, output, model, tiles=1)
    assert not any((store / each).exists() for each in half)
    assert len(finished_in(output)) == 3


def test_a_full_disk_before_the_work_is_said_of_the_output(source: Path, model: Path) -> None:
    for name in ("out.tif", "out.img", "out.nc"):
        with full_disk(10), pytest.raises(InputError, match="cannot write") as caught:
            predict_file(source, source.with_name(name), model, tile=TILE)
        assert str(source.with_name(name)) in str(caught.value)
        assert "trial" not in str(caught.value)


def test_nothing_is_left_where_nothing_was_done(source: Path, model: Path, tmp_path: Path) -> None:
    stopped(source, source.with_name("out.tif"), model, tiles=0)
    with pytest.raises(InputError, match="signed 8-bit"):
        predict_file(source, tmp_path / "out.img", model, dtype="int8")  # found out before the work
    with pytest.raises(InputError, match="unknown dtype"):
        predict_file(source, tmp_path / "out.tif", model, dtype="number")
    (tmp_path / "folder.tif").mkdir()
    (tmp_path / "folder.zarr").mkdir()
    with pytest.raises(InputError, match="it is a folder"):
        predict_file(source, tmp_path / "folder.tif", model)
    with pytest.raises(InputError, match="is not a Zarr store"):
        predict_file(source, tmp_path / "folder.zarr", model)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["folder.tif", "folder.zarr", "scene.tif"]


def test_arithmetic_is_that_of_the_first_run(source: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run may be on another machine."""
    monkeypatch.setattr("finewave.zoo.precision.bfloat16_gains", lambda device: True)
    output = source.with_name("out.zarr")
    folder = stopped(source, output, model)
    assert json.loads((folder / "job.json").read_text())["arithmetic"] == "bfloat16"
    monkeypatch.setattr("finewave.zoo.precision.bfloat16_gains", lambda device: False)
    used = []
    monkeypatch.setattr(engine, "run_tile", _spy(engine.run_tile, used))
    predict_file(source, output, model, tile=TILE)
    assert set(used) == {"bfloat16"}
    with open_scene(output) as result:  # said by what was written
        assert result.attrs["model_precision"] == "bfloat16"


@pytest.mark.parametrize("gains", [True, False])
def test_a_scene_says_its_arithmetic(model: Path, gains: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finewave.zoo.precision.bfloat16_gains", lambda device: gains)
    result = super_resolve(scene_of(6, 5), str(model))
    assert result.attrs["model_precision"] == ("bfloat16" if gains else "float32")


def _spy(run_tile: Any, used: list[str]) -> Any:
    def spied(model: Any, *rest: Any) -> Any:
        used.append(model.precision)
        return run_tile(model, *rest)

    return spied
