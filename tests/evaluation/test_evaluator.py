from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import finewave as fw
from finewave.datasets.store import Store
from finewave.evaluation.baselines import FLOORS, list_baselines
from finewave.evaluation.evaluator import baseline_for, evaluate_model
from finewave.nn.sampling import bicubic
from finewave.systems.registry import TASKS, create_model
from finewave.zoo.model import Model
from tests.training.stand_ins import STAND_INS


@pytest.fixture
def model(tmp_path: Path) -> Model:
    net = create_model("jssunet", features=8, stages=1, n_clusters=3, post=False)
    facts = {"sensor": "nikon-d5100", "degradation": {"kernel": "gaussian", "scale": 4}}
    return fw.load_model(Model(net).save(tmp_path / "tiny", **facts))


def test_scores_are_those_of_the_images_by_hand(small_store: Path, model: Model) -> None:
    store = Store(small_store)
    scores = evaluate_model(model, "cave", "val", baseline=True, store=store)
    target = torch.from_numpy(store.read("scene3").astype(np.float32))[None] / 65535
    lr_msi = fw.degrade(target, 4, "nikon-d5100", wavelengths=store.wavelengths)
    expected = fw.metrics.evaluate(model.with_precision("float32").predict(lr_msi=lr_msi), target, scale=4)
    assert scores["images"]["scene3"] == pytest.approx(expected, rel=1e-5)
    assert scores["mean"] == pytest.approx(expected, rel=1e-5)
    assert scores["protocol"]["scenes_sha256"] == {"scene3": store.checksum("scene3")}
    best = max(scores["baselines"], key=lambda label: scores["baselines"][label]["psnr"])
    assert scores["baseline"] == {"name": best, "mean": scores["baselines"][best]}
    assert list(scores["baselines"]) == list(FLOORS["sssr"])
    assert scores["baseline"]["mean"]["psnr"] > scores["mean"]["psnr"]  # the network is untrained


def test_what_cannot_be_evaluated(small_store: Path, model: Model) -> None:
    store = Store(small_store)
    with pytest.raises(fw.InputError, match="unknown split 'vall'; did you mean 'val'"):
        evaluate_model(model, "cave", "vall", store=store)
    with pytest.raises(fw.InputError, match="unknown dataset"):
        evaluate_model(model, "pavia", "val")
    with pytest.raises(fw.InputError, match="card"):
        evaluate_model(Model(model.net), "cave", "val", store=store)
    other = Model(create_model("jssunet", hs_bands=12, features=8, stages=1, post=False), model.card)
    with pytest.raises(fw.InputError, match="makes 12 bands; cave has 31"):
        evaluate_model(other, "cave", "val", store=store)


def test_the_floor_of_joint_super_resolution_by_hand(small_store: Path, model: Model) -> None:
    """Bicubic interpolation, then the least-squares quadratic map of what it makes of the training scenes."""
    store = Store(small_store)

    def rows(name: str) -> tuple[np.ndarray, np.ndarray, torch.Tensor]:
        target = torch.from_numpy(store.read(name).astype(np.float32))[None] / 65535
        lr_msi = fw.degrade(target, 4, "nikon-d5100", wavelengths=store.wavelengths)
        x = bicubic(lr_msi, (48, 48))[0].flatten(1).double().numpy()
        i, j = np.triu_indices(3)
        return np.vstack((np.ones(x.shape[1]), x, x[i] * x[j])).T, target[0].flatten(1).double().numpy().T, target

    x, y, _ = (np.concatenate(part) for part in zip(*(rows(f"scene{i}") for i in range(3)), strict=True))
    unseen, _, target = rows("scene3")
    estimate = torch.from_numpy((unseen @ np.linalg.lstsq(x, y, rcond=None)[0]).T.reshape(1, 31, 48, 48)).float()
    expected = fw.metrics.evaluate(estimate, target, scale=4)
    found = evaluate_model(model, "cave", "val", baseline=True, store=store)["baselines"][
        "bicubic + quadratic regression"
    ]
    assert found == pytest.approx(expected, rel=1e-3)


def test_every_task_has_a_floor() -> None:
    assert set(FLOORS) == set(TASKS)
    named = {system for floors in FLOORS.values() for system, _ in floors.values()} - {"sr-ssr", "ensemble-ssr"}
    assert named <= set(list_baselines())


@pytest.mark.parametrize("system", STAND_INS)
def test_each_task_is_scored_against_its_own_floor(
    small_store: Path, tmp_path: Path, stand_ins: None, system: str
) -> None:
    net = create_model(system)
    scale = int(net.scale)
    facts = {"sensor": "nikon-d5100", "degradation": {"kernel": "gaussian", "scale": scale}}
    store = Store(small_store)
    scores = evaluate_model(
        fw.load_model(Model(net).save(tmp_path / "net", **facts)), "cave", "val", baseline=True, store=store
    )
    assert list(scores["baselines"]) == list(FLOORS[net.task])
    assert scores["baseline"]["mean"]["psnr"] == max(mean["psnr"] for mean in scores["baselines"].values())
    assert scores["protocol"]["scale"] == scale
    target = torch.from_numpy(store.read("scene3").astype(np.float32))[None] / 65535
    if net.task in ("sr", "fusion", "refsr"):
        by_hand = fw.metrics.evaluate(bicubic(fw.degrade(target, 4), (48, 48)), target, scale=4)
        assert scores["baselines"]["bicubic"] == pytest.approx(by_hand, rel=1e-5)
    if net.task == "fusion":
        assert scores["baselines"]["GSA"]["psnr"] > scores["baselines"]["bicubic"]["psnr"]
        assert scores["baseline"]["name"] != "bicubic"


@pytest.mark.parametrize("system", list_baselines())
def test_baselines_are_scored_by_name(small_store: Path, system: str) -> None:
    store = Store(small_store)
    floor = baseline_for(system, "cave", scale=3, sensor="srgb", degradation={"kernel": "bicubic"}, store=store)
    scores = evaluate_model(floor, "cave", "val", baseline=True, store=store)
    assert scores["model"] == system
    scale = 1 if floor.task == "ssr" else 3
    protocol = {key: scores["protocol"][key] for key in ("sensor", "scale", "degradation")}
    assert protocol == {"sensor": "srgb", "scale": scale, "degradation": {"kernel": "bicubic"}}
    assert scores["mean"]["psnr"] > 25
    if system in ("bicubic", "gsa", "cnmf", "quadratic"):  # itself among the floors
        assert any(mean == pytest.approx(scores["mean"], rel=1e-6) for mean in scores["baselines"].values())


def test_a_baseline_that_there_is_not() -> None:
    with pytest.raises(fw.InputError, match="unknown baseline 'bicubik'; did you mean 'bicubic'"):
        baseline_for("bicubik", "cave")
