"""One phase for every task: inputs by name, losses by name, parts of compositions; killed and resumed."""

from __future__ import annotations

import csv
import math
import os
import signal
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import finewave as fw
from finewave.nn.losses import LOSSES
from finewave.training import trainer as training
from finewave.training.trainer import train
from tests.fork_server import ForkServer
from tests.training.dying import dying

SCRIPT = """
import sys
from finewave.training import trainer as training
from tests.training.dying import die_if_asked
from tests.training.stand_ins import register
register()
die_if_asked()
training.training_precision = lambda device: "bf16-mixed"
training.train("common-cave-x4", sys.argv[1:])
"""


def logged(run: Path, name: str) -> list[float]:
    with (run / "phase1" / "csv" / "metrics.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file) if row.get(name)]


@pytest.mark.parametrize("system", ["plain-sr", "plain-ssr", "plain-fusion", "plain-refsr", "jssunet"])
def test_every_task_learns(common: list[str], tmp_path: Path, system: str) -> None:
    small = ["model.features=8", "model.stages=1", "model.n_clusters=2", "model.post=false"]
    longer = ["phase1.steps=80", "phase1.validate_every=80", "phase1.learning_rate=0.01", "data.gain=[1, 1]"]
    folder = train(
        "common-cave-x4", [*common, *longer, f"model.system={system}", *(small if system == "jssunet" else [])]
    )
    losses = logged(tmp_path / "run", "loss_l1")
    assert losses[-1] < 0.9 * losses[0]  # eighty steps round differently on each processor: JSSUNet 0.60 to 0.83
    model = fw.load_model(folder)
    assert (model.name, model.card.system) == (f"{system}-common-cave-x4", system)
    assert model.card.degradation == {"kernel": "gaussian", "scale": 1 if system == "plain-ssr" else 4}
    assert model.card.metrics["cave/val"]["mean"]["psnr"] > 10


def test_a_systems_own_loss_and_the_shared_ones_are_weighed_by_the_recipe(common: list[str], tmp_path: Path) -> None:
    losses = "phase1.losses={l1: 2.0, mse: 0.5, colour: 0.25, sam: 0}"
    train("common-cave-x4", [*common, "model.system=plain-ssr", losses, "phase1.steps=20"])  # the 20th step is logged
    run = tmp_path / "run"
    total, l1, mse, colour = (logged(run, name)[0] for name in ("loss", "loss_l1", "loss_mse", "loss_colour"))
    assert total == pytest.approx(2 * l1 + 0.5 * mse + 0.25 * colour, rel=1e-4)
    assert colour > 0
    assert logged(run, "loss_sam") == []


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("phase1.losses={l3: 1}", r"unknown loss 'l3'; did you mean 'l1'\? Valid: colour, done, l1"),
        ("phase1.losses={l1: 0}", "at least one needs a weight other than 0"),
        ("phase1.optimizer=sgd", r"unknown phase1\.optimizer 'sgd'"),
        ("phase1.part=sr", "unknown part of the network 'sr'"),
        ("phase1.schedule=cosin", "did you mean 'cosine'"),
        ("data.sensor=nikon", "unknown sensor"),
    ],
)
def test_a_phase_that_cannot_be_run_is_refused(common: list[str], override: str, message: str) -> None:
    with pytest.raises(fw.InputError, match=message):
        train("common-cave-x4", [*common, "model.system=plain-ssr", override])


def test_optimiser_and_schedule_are_those_of_the_recipe(common: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict] = []

    class Recorder(torch.optim.AdamW):
        def step(self, *args: object, **kwargs: object) -> object:
            seen.append({key: self.param_groups[0][key] for key in ("lr", "betas", "weight_decay")})
            return super().step(*args, **kwargs)

    monkeypatch.setitem(sys.modules["finewave.training.phase"].OPTIMISERS, "adamw", Recorder)
    chosen = [
        "model.system=plain-ssr",
        "phase1.optimizer=adamw",
        "phase1.betas=[0.8, 0.99]",
        "phase1.weight_decay=0.01",
        "phase1.schedule=steps",
        "phase1.warmup=0",
        "phase1.milestones=[0.5]",
        "phase1.decay=0.1",
        "phase1.learning_rate=0.5",
    ]
    train("common-cave-x4", [*common, *chosen])
    assert [step["lr"] for step in seen] == pytest.approx([0.5] * 3 + [0.05] * 3)
    assert seen[0]["betas"] == (0.8, 0.99)
    assert seen[0]["weight_decay"] == 0.01


def test_killed_and_started_again_it_ends_the_same(
    common: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fork_server: ForkServer
) -> None:
    """SIGKILL after a checkpoint: weights, BatchNorm's statistics and average are those of a run left alone."""
    monkeypatch.setattr(training, "training_precision", lambda device: "bf16-mixed")  # as in the script
    calm = [*common, "model.system=plain-sr", "phase1.steps=40", "phase1.validate_every=10", f"out={tmp_path / 'calm'}"]
    killed = [*calm, f"out={tmp_path / 'killed'}"]
    train("common-cave-x4", calm)

    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    ended = fork_server.run(SCRIPT, *killed, env=environment | dying("after 7"))
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert not (tmp_path / "killed" / "model").exists()
    fork_server.run(SCRIPT, *killed, env=environment).check_returncode()
    one, other = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("calm", "killed"))
    assert one.keys() == other.keys()
    for key in one:
        assert torch.equal(one[key], other[key]), key


RECIPES = {"sr-ssr": ["sr", "ssr"], "ssr-sr": ["ssr", "sr"], "sr-ssr-fusion": ["sr", "ssr", "fusion"]}


@pytest.mark.parametrize("name", RECIPES)
def test_a_composition_learns_part_by_part_from_one_recipe(common: list[str], tmp_path: Path, name: str) -> None:
    """Each phase changes its part alone, and the result is one model that does the whole."""
    parts = RECIPES[name]
    stand_ins = [f"model.{part}=plain-{part}" for part in parts]
    fast = [f"phase{i}.{key}" for i in range(1, len(parts) + 1) for key in ("steps=4", "validate_every=4", "ema=0.5")]
    folder = train(f"common-{name}-cave-x4", [*common, *stand_ins, *fast, "model.ssr_options={width: 5}"])
    states = [load_file(tmp_path / "run" / f"phase{i}" / "best.safetensors") for i in range(1, len(parts) + 1)]
    for part, before, after in zip(parts[1:], states, states[1:], strict=False):
        for key in before:
            same = torch.equal(before[key], after[key])
            assert same or key.startswith(f"{part}."), key
        assert any(not torch.equal(before[key], after[key]) for key in before if key.startswith(f"{part}."))
    model = fw.load_model(folder)
    assert model.card.config["ssr_options"] == {"width": 5}
    assert model.predict(lr_msi=torch.rand(1, 3, 4, 5)).shape == (1, 31, 16, 20)


def test_the_losses_by_hand() -> None:
    target = torch.full((1, 2, 3, 3), 0.5)
    other = torch.full((1, 2, 3, 3), 0.75)
    values = {name: loss(other, target).item() for name, loss in LOSSES.items()}
    assert values == pytest.approx({"l1": 0.25, "mse": 0.0625, "smooth_l1": 0.03125, "mrae": 0.5, "sam": 0.0}, abs=2e-3)
    one, across = torch.zeros(1, 2, 1, 1), torch.zeros(1, 2, 1, 1)
    one[:, 0], across[:, 1] = 1, 1
    assert LOSSES["sam"](one, across).item() == pytest.approx(math.pi / 2, abs=1e-5)
    assert math.isfinite(LOSSES["mrae"](one, across).item())
    for name, loss in LOSSES.items():  # no infinite slope where the estimate is right or zero
        for value in (target.clone(), torch.zeros_like(target)):
            x = value.requires_grad_()
            loss(x, target).backward()
            assert torch.isfinite(x.grad).all(), name
