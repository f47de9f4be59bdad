"""Tiles chosen by a budget of memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finewave.errors import InputError
from finewave.inference.machine import memory
from finewave.inference.machine.memory import STEP, machine_memory, peak_bytes, tile_within
from finewave.inference.options import bytes_of
from finewave.inference.predict import predict_file
from finewave.inference.request import make_request
from finewave.inference.tiling.plan import halos_of, plan_tiles
from finewave.io.open_save import load_scene
from finewave.systems.registry import create_model
from finewave.zoo.model import Model, load_model
from tests.inference.tiny_models import save_model, scene_of, write_scene


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = save_model(tmp_path_factory.mktemp("model") / "tiny")
    return load_model(folder, precision="float32").with_pooling("local")


@pytest.mark.parametrize(
    ("text", "count"),
    [("4G", 4e9), ("1.5GB", 1.5e9), ("800 MiB", 800 * 2**20), ("2gi", 2**31), (3_000_000_000, 3e9), ("500k", 5e5)],
)
def test_amounts_of_memory(text: object, count: float) -> None:
    assert bytes_of(text) == count


@pytest.mark.parametrize("text", ["", "much", "-4G", "4X", True, "4 G 5", float("nan"), "1e9"])
def test_what_is_no_amount(text: object) -> None:
    with pytest.raises(InputError, match="is not an amount of memory"):
        bytes_of(text)


@pytest.mark.parametrize("halo", ["auto", "exact", "fast", 5])
def test_largest_tile_within_the_budget(halo: str | int, model: Model) -> None:
    request = make_request(scene_of(2000, 1500), model)

    def needed(side: int) -> float:
        return request.first.nbytes + peak_bytes(model, side, [each + 3 for each in halos_of(model, halo, side)])

    sides = list[int]()
    for budget in (0.9e9, 1.4e9, 3e9):
        side = tile_within(budget, request, halo=halo, beyond=3)
        assert side is not None
        step = STEP // model.upscaling
        assert needed(side) <= budget < needed(side + step)
        assert side % step == 0
        sides.append(side)
    assert sides == sorted(set(sides))
    whole = tile_within("1T", request, halo=halo)
    assert whole is not None
    assert whole >= 2000
    assert tile_within("4G", request, halo=halo, workers=4) == tile_within("1G", request, halo=halo)


def test_without_a_budget_only_small_machines_have_smaller_tiles(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    request = make_request(scene_of(600, 600), model)
    monkeypatch.setattr(memory, "machine_memory", lambda: None)
    assert tile_within(None, request, halo="auto") is None
    monkeypatch.setattr(memory, "machine_memory", lambda: 64 * 10**9)
    assert tile_within(None, request, halo="auto") is None
    monkeypatch.setattr(memory, "machine_memory", lambda: 2 * 10**9)
    side = tile_within(None, request, halo="auto")
    assert side is not None
    assert 0 < side < 256
    monkeypatch.setattr(memory, "machine_memory", lambda: 10**8)  # wrong, or hopeless: the smallest, without an error
    assert tile_within(None, request, halo="auto") == STEP // 2


def test_an_image_of_the_smallest_tile_is_one_whatever_memory_there_is(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "machine_memory", lambda: 10**8)
    side = STEP // 2
    request = make_request(scene_of(side, side - 1), model)
    assert tile_within(None, request, halo="auto") is None
    assert len(plan_tiles(model, side, side - 1)) == 1
    assert tile_within(None, make_request(scene_of(side + 1, side), model), halo="auto") == side
    with pytest.raises(InputError, match="too little"):  # a budget that is given is one to keep
        tile_within("1M", request, halo="auto")


def test_limits_of_control_groups(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("4:memory:/jobs/1\n1:cpu:/\n0::/slice/mine\n")
    machine = machine_memory(tmp_path)
    assert machine is not None
    second = tmp_path / "sys/fs/cgroup/slice/mine"
    second.mkdir(parents=True)
    (second / "memory.max").write_text("max\n")
    assert machine_memory(tmp_path) == machine
    (second.parent / "memory.max").write_text("3000000\n")  # of the group above
    assert machine_memory(tmp_path) == 3_000_000
    first = tmp_path / "sys/fs/cgroup/memory/jobs/1"
    first.mkdir(parents=True)
    (first / "memory.limit_in_bytes").write_text("2000000\n")
    assert machine_memory(tmp_path) == 2_000_000


def test_same_values_whatever_the_budget(model: Model, tmp_path: Path) -> None:
    source = write_scene(tmp_path / "scene.tif", 70, 90)
    results = []
    for name, budget in (("one", "1T"), ("small", "0.75G"), ("plain", None)):
        predict_file(source, tmp_path / f"{name}.tif", model, memory=budget)
        results.append(load_scene(tmp_path / f"{name}.tif").values)
    for other in results[1:]:
        np.testing.assert_allclose(other, results[0], atol=1e-5)


def test_too_little_and_both(model: Model, tmp_path: Path) -> None:
    source = write_scene(tmp_path / "scene.tif", 40, 40)
    with pytest.raises(InputError, match=r"memory=100M is too little for tiny: with the smallest tiles it takes 0\.\d"):
        predict_file(source, tmp_path / "out.tif", model, memory="100M")
    with pytest.raises(InputError, match="give --tile or --memory"):
        predict_file(source, tmp_path / "out.tif", model, memory="4G", tile=20)
    assert not (tmp_path / "out.tif").exists()


def test_tiles_are_the_same_in_float32() -> None:
    """Its features take twice as much, but only a strip of them at a time."""
    net = create_model("jssunet", scale=4, features=8, stages=1, post=False)
    plans = [plan_tiles(Model(net, precision=each), 1000, 1000) for each in ("bfloat16", "float32")]
    assert [each.tile for each in plans] == [128, 128]
