"""The phases of SSC-HSR: what learns in each, what they learn from, and the whole recipe on a small data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import finewave as fw
from finewave.datasets.synthetic_views import with_reference
from finewave.errors import InputError
from finewave.evaluation.evaluator import evaluate_model
from finewave.systems.sschsr.phases import Flow
from finewave.training.configuration.recipes import load_recipe
from finewave.training.phase import Phase
from finewave.training.run_clock import RunClock
from finewave.training.trainer import train

SMALL: dict[str, Any] = {
    "scale": 4,
    "hs_bands": 6,
    "features": 8,
    "flow_features": 8,
    "flow_iterations": 2,
    "warp_features": 4,
    "blocks": [1, 1, 1],
}


def network() -> Any:
    torch.manual_seed(0)
    return fw.create_model("ssc-hsr", **SMALL)


def batch() -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    hr_hsi = torch.rand(2, 6, 32, 32, generator=random)
    lr_hsi = torch.nn.functional.avg_pool2d(hr_hsi, 4)
    return with_reference({"hr_hsi": hr_hsi, "lr_hsi": lr_hsi, "hr_msi": hr_hsi[:, :3]}, (0,), parallax=3.0, shift=1.0)


def phase(kind: str, net: Any, **changes: Any) -> Any:
    config = {
        "kind": kind,
        "optimizer": "adamw",
        "betas": [0.9, 0.999],
        "weight_decay": 0.0,
        "learning_rate": 1e-3,
        "schedule": "constant",
        "warmup": 0.0,
        "floor": 1.0,
        "clip": 1.0,
        "ema": 0.0,
        "losses": {"l1": 1.0},
        **changes,
    }
    made = Phase(net, config, RunClock(10))
    made.log = made.log_dict = lambda *_, **__: None
    return made


@pytest.mark.parametrize(
    ("kind", "losses", "learns"),
    [
        ("flow", {"sequence": 1.0}, {"flow_network"}),
        ("warp", {"l1": 1.0, "matching": 0.1}, {"warp_network", "match_image", "match_reference"}),
    ],
)
def test_only_the_part_learns(kind: str, losses: dict[str, float], learns: set[str]) -> None:
    net = network()
    made = phase(kind, net, losses=losses)
    made.training_step(batch(), 0).backward()
    moved = {name.partition(".")[0] for name, p in net.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved == learns
    assert {id(p) for p in made.trained_parameters()} == {
        id(p) for name in learns for p in getattr(net, name).parameters()
    }


def test_frozen_flow_keeps_its_statistics_in_the_last_phase() -> None:
    net = network()
    made = phase("guided", net, losses={"smooth_l1": 1.0, "alignment": 1.0}, freeze=["flow_network"])
    before = {key: value.clone() for key, value in net.flow_network.state_dict().items()}
    made.training_step(batch(), 0).backward()
    silent = {name.partition(".")[0] for name, p in net.named_parameters() if p.grad is None}
    assert silent == {"flow_network"}
    assert all(torch.equal(before[key], value) for key, value in net.flow_network.state_dict().items())


def test_the_sequence_loss_is_zero_for_the_true_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    net, images = network(), batch()
    true = torch.nn.functional.pad(images["flow"], (0, 32, 0, 32))
    monkeypatch.setattr(net.flow_network, "forward_all", lambda *_: ([true, true], None))
    assert phase("flow", net, losses={"sequence": 1.0}).training_step(images, 0).item() == 0


def test_matching_features_learn_to_find_their_partner() -> None:
    net, images = network(), batch()
    made = phase("warp", net, losses={"l1": 0.0, "matching": 1.0})
    optimiser = torch.optim.Adam(made.trained_parameters(), lr=2e-3)
    losses = []
    for _ in range(40):
        torch.manual_seed(1)
        loss = made.training_step(images, 0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.5


def test_what_the_phases_need_is_named() -> None:
    with pytest.raises(InputError, match="ssc-hsr"):
        Flow(fw.create_model("bicubic"), {"kind": "flow", "losses": {}})
    with pytest.raises(InputError, match="flow_netwrok"):
        phase("guided", network(), freeze=["flow_netwrok"])
    with pytest.raises(InputError, match=r"data\.reference"):
        phase("flow", network()).training_step({"lr_hsi": torch.rand(1, 6, 8, 8)}, 0)
    with pytest.raises(InputError, match="sequense"):
        phase("flow", network(), losses={"sequense": 1.0}).training_step(batch(), 0)


def test_the_recipe_from_data_to_weights(small_store: Path, tmp_path: Path) -> None:
    phases = [f"phase{i}.{key}" for i in (1, 2, 3) for key in ("steps=2", "validate_every=2")]
    options = [f"model.{key}={value}" for key, value in SMALL.items() if key not in ("hs_bands", "scale")]
    folder = train(
        "sschsr-cave-x4",
        [
            f"data.store={small_store}",
            f"out={tmp_path / 'run'}",
            "data.crop=24",
            "data.reference.parallax=3.0",
            "data.reference.shift=1.0",
            *phases,
            *options,
        ],
    )
    model = fw.load_model(folder)
    assert model.card.recipe["phase1"]["pretrained"] == {"flow": None, "matching": None, "reference": None}
    scores = model.card.metrics["cave/val"]
    assert scores["baseline"]["name"] == "back-projection"
    assert scores["protocol"]["reference"]["parallax"] == 3.0
    assert np.isfinite(scores["mean"]["psnr"])


def test_evaluation_makes_the_same_reference_every_time(small_store: Path) -> None:
    from finewave.datasets.store import Store
    from finewave.zoo.card import describe
    from finewave.zoo.model import Model

    net = fw.create_model("ssc-hsr", **{**SMALL, "hs_bands": 31})
    card = describe(net, name="x", sensor="nikon-d5100", degradation={"kernel": "gaussian", "scale": 4})
    store = Store(small_store)
    first, second = (evaluate_model(Model(net, card), "cave", "val", store=store)["mean"] for _ in range(2))
    assert first == second


def test_the_recipes_agree_with_the_network() -> None:
    for name in ("sschsr-cave-x4", "sschsr-cave-x4-short"):
        config = load_recipe(name)
        assert [config[f"phase{i}"]["kind"] for i in (1, 2, 3)] == ["flow", "warp", "guided"]
        options = {key: value for key, value in config["model"].items() if key != "system"}
        with torch.device("meta"):
            fw.create_model("ssc-hsr", **options)
