from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import finewave as fw
from finewave.training import callbacks
from finewave.training import trainer as training
from finewave.training.trainer import train
from tests.fork_server import ForkServer
from tests.training.conftest import quick
from tests.training.dying import dying

# Checkpoints after every step, so that a kill at any moment finds one.
SCRIPT = """
import sys
from finewave.training import trainer as training
from tests.training.dying import die_if_asked
die_if_asked()
training.training_precision = lambda device: "bf16-mixed"
training.train("jssunet-cave-x4", sys.argv[1:])
"""


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "model.safetensors")


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for key in a:
        assert torch.equal(a[key], b[key]), key


@pytest.fixture(scope="module")
def finished(small_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has ended; the tests leave it as it is."""
    out = tmp_path_factory.mktemp("finished") / "run"
    assert train("jssunet-cave-x4", quick(small_store, out)) == out / "model"
    return out


def test_a_recipe_becomes_a_model_with_its_card(finished: Path) -> None:
    model = fw.load_model(finished / "model")
    assert model.card.scale == 4
    assert model.card.sensor == "nikon-d5100"
    assert model.card.wavelengths_nm == [400.0 + 10 * i for i in range(31)]
    assert model.card.recipe["model"]["features"] == 8
    assert set(model.card.data["sha256"]) == {"scene0", "scene1", "scene2", "scene3"}
    assert model.predict(lr_msi=torch.rand(1, 3, 6, 5)).shape == (1, 31, 24, 20)


def test_training_lowers_the_loss_and_logs_the_clusters(overrides: list[str], tmp_path: Path) -> None:
    longer = [*overrides, "phase1.steps=160", "phase1.validate_every=160", "phase1.learning_rate=2e-3"]
    train("jssunet-cave-x4", longer)
    with (tmp_path / "run" / "phase1" / "csv" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    losses = [float(row["loss_output"]) for row in rows if row["loss_output"]]
    assert losses[-1] < 0.8 * losses[0]
    shares = [[float(row[f"cluster_{m}"]) for m in range(3)] for row in rows if row["cluster_0"]]
    assert all(abs(sum(row) - 1) < 1e-4 for row in shares)


def test_phase2_leaves_the_rest_alone(finished: Path) -> None:
    phase1 = load_file(finished / "phase1" / "best.safetensors")
    final = weights(finished)
    for key, value in phase1.items():
        if not key.startswith("post."):
            assert torch.equal(value, final[key]), key
    assert any(not torch.equal(v, final[k]) for k, v in phase1.items() if k.startswith("post."))


@pytest.mark.parametrize("moment", ["after 1", pytest.param("within 17", marks=pytest.mark.slow)])
def test_killed_and_started_again_it_ends_the_same(
    overrides: list[str], tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch, fork_server: ForkServer
) -> None:
    """SIGKILL after the first checkpoint, or while a later one is written: the weights of a run left alone."""
    monkeypatch.setattr(training, "training_precision", lambda device: "bf16-mixed")  # as in the script
    calm = [*overrides, f"out={tmp_path / 'calm'}", "phase1.steps=30", "phase1.validate_every=10"]
    killed = [*calm, f"out={tmp_path / 'killed'}"]
    train("jssunet-cave-x4", calm)

    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    ended = fork_server.run(SCRIPT, *killed, env=environment | dying(moment))
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert not (tmp_path / "killed" / "model").exists()
    checkpoint = tmp_path / "killed" / "phase1" / "last.ckpt"
    assert torch.load(checkpoint, weights_only=True)["global_step"] >= 1  # whole, whenever the kill came

    fork_server.run(SCRIPT, *killed, env=environment).check_returncode()
    assert_same(weights(tmp_path / "calm"), weights(tmp_path / "killed"))


def test_a_phase_ends_in_the_arithmetic_that_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is quicker is timed, and may be something else when the run goes on."""
    for quickest in ("bf16-mixed", "32-true"):
        monkeypatch.setattr(training, "training_precision", lambda device, quickest=quickest: quickest)
        assert training._precision({}, tmp_path) == "bf16-mixed"
    assert training._precision({"precision": "float32"}, tmp_path) == "32-true"


def assert_not_run_again(run: Path, overrides: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    before = (run / "model" / "model.safetensors").stat().st_mtime_ns

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("lightning.Trainer.fit", refuse)
    assert train("jssunet-cave-x4", overrides) == run / "model"
    assert (run / "model" / "model.safetensors").stat().st_mtime_ns == before


def test_a_finished_run_is_not_run_again(finished: Path, small_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert any(key.startswith("post.") for key in weights(finished))
    assert_not_run_again(finished, quick(small_store, finished), monkeypatch)


def test_nor_is_one_of_a_single_phase(overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = [*overrides, "model.post=false"]
    train("jssunet-cave-x4", overrides)
    assert not any(key.startswith("post.") for key in weights(tmp_path / "run"))
    assert_not_run_again(tmp_path / "run", overrides, monkeypatch)


def test_another_recipe_does_not_go_into_the_same_folder(finished: Path, small_store: Path) -> None:
    with pytest.raises(fw.InputError, match=r"another recipe \(different: model\)"):
        train("jssunet-cave-x4", [*quick(small_store, finished), "model.features=16"])


def test_a_time_budget_ends_the_phase(overrides: list[str], tmp_path: Path) -> None:
    train(
        "jssunet-cave-x4",
        [*overrides, "phase1.steps=100000", "phase1.minutes=0.05", "phase1.validate_every=50"],
    )
    assert torch.load(tmp_path / "run" / "phase1" / "last.ckpt", weights_only=True)["global_step"] < 100_000


def test_weights_can_be_the_start_of_another_run(finished: Path, overrides: list[str]) -> None:
    first = finished / "model"
    second = train(
        "jssunet-cave-x4",
        [*overrides, f"init_from={first}", "data.sensor=srgb", "phase1.learning_rate=0"],
    )
    start, end = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    key = "fusion.stages.0.prox.head.weight"
    torch.testing.assert_close(start[key], end[key])
    assert json.loads((second / "card.json").read_text())["sensor"] == "srgb"


def _started(start: fw.Model, folder: Path, **model: int) -> dict[str, torch.Tensor]:
    start.save(folder)
    config = {"model": {"system": "jssunet", "stages": 1, "features": 8, "hs_bands": 5, "ms_bands": 3, **model}}
    config |= {"init_from": str(folder), "seed": 0, "data": {"degradation": {}}, "phase1": {}}
    return training.build_network(config, [], torch.empty(3, 5).numpy()).state_dict()


@pytest.mark.parametrize("scale", [2, 8])
def test_weights_of_another_scale_start_what_does_not_depend_on_it(scale: int, tmp_path: Path) -> None:
    start = fw.create_model("jssunet", scale=4, stages=1, features=8, hs_bands=5)
    state, given = _started(fw.Model(start), tmp_path, scale=scale), start.state_dict()
    assert state.keys() == fw.create_model("jssunet", scale=scale, stages=1, features=8, hs_bands=5).state_dict().keys()
    for key in state.keys() & given.keys():
        torch.testing.assert_close(state[key], given[key])
    new = state.keys() - given.keys()
    assert all(key.startswith("sr.stages.0.") for key in new)
    assert bool(new) == (scale == 8)


def test_weights_of_another_scale_and_width_are_refused(tmp_path: Path) -> None:
    start = fw.create_model("jssunet", scale=4, stages=1, features=12, hs_bands=5)
    with pytest.raises(fw.InputError, match="of shape"):
        _started(fw.Model(start), tmp_path, scale=2)


def test_weights_of_another_system_are_refused_as_such(tmp_path: Path) -> None:
    with pytest.raises(fw.InputError, match=r"^init_from=.* lacks "):
        _started(fw.Model(fw.create_model("quadratic", hs_bands=5)), tmp_path, scale=2)


def test_weights_of_another_scale_are_no_start_where_nothing_is_trained(tmp_path: Path) -> None:
    start = fw.create_model("residual-sr", scale=4, hs_bands=3, features=4, blocks=1)
    fw.Model(start).save(tmp_path)
    parts = {"sr": "residual-sr", "ssr": "quadratic", "sr_options": {"features": 4, "blocks": 1}}
    config = {"model": {"system": "sr-ssr", "scale": 2, "ms_bands": 3, "hs_bands": 5, **parts}}
    config |= {"init_from": str(tmp_path), "seed": 0, "data": {"degradation": {}}}
    with pytest.raises(fw.InputError, match=r"has scale 4, the network 2: .* as there is no phase"):
        training.build_network(config, [], torch.empty(3, 5).numpy())


def test_weights_of_one_part_start_a_composition_and_the_others_are_prepared(tmp_path: Path) -> None:
    part = fw.create_model("residual-sr", scale=2, hs_bands=3, features=4, blocks=1)
    torch.nn.init.normal_(part.tail.weight, std=0.1)
    fw.Model(part).save(tmp_path / "part")
    random = torch.Generator().manual_seed(0)
    hr_hsi = torch.rand(1, 5, 12, 12, generator=random)
    response = torch.rand(3, 5, generator=random)

    class Whole:
        def whole(self, response: torch.Tensor) -> dict[str, torch.Tensor]:
            hr_msi = torch.einsum("kc,bchw->bkhw", response, hr_hsi)
            return {"hr_hsi": hr_hsi, "hr_msi": hr_msi, "lr_msi": fw.degrade(hr_msi, 2)}

    model = {"system": "sr-ssr", "scale": 2, "ms_bands": 3, "hs_bands": 5, "sr": "residual-sr", "ssr": "quadratic"}
    model["sr_options"] = {"features": 4, "blocks": 1}
    config = {"model": model, "init_from": str(tmp_path / "part"), "seed": 0, "data": {"degradation": {}}}
    net = training.build_network(config, [Whole()], response)
    for key, value in part.state_dict().items():
        torch.testing.assert_close(net.part("sr").state_dict()[key], value)
    made = Whole().whole(response)
    with torch.no_grad():
        error = (net.eval()(made["lr_msi"]) - hr_hsi).square().mean()
    assert error < 0.99 * hr_hsi.var(), "the regression was not fitted"


def test_the_checkpoint_is_never_half_written(tmp_path: Path) -> None:
    class Trainer:
        global_step, sanity_checking = 1, False

        def save_checkpoint(self, path: Path) -> None:
            path.write_bytes(b"half")
            raise OSError("disk full")

    path = tmp_path / "last.ckpt"
    path.write_bytes(b"whole")
    with pytest.raises(OSError, match="disk full"):
        callbacks.MinuteCheckpoint(path).on_validation_start(Trainer())
    assert path.read_bytes() == b"whole"


@pytest.mark.parametrize("clusters", ["kmeans", "none"])
def test_the_other_clusterings_train(overrides: list[str], clusters: str) -> None:
    folder = train("jssunet-cave-x4", [*overrides, f"model.clusters={clusters}", "phase1.steps=3", "phase2.steps=1"])
    if clusters == "kmeans":
        centroids = load_file(folder / "model.safetensors")["ssr.clusters.centroids"]
        assert centroids.shape == (3, 3)
        assert len(centroids.unique(dim=0)) == 3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.hs_bands=12", r"model\.hs_bands=12, but the data set cave has 31 bands"),
        ("model.ms_bands=4", r"model\.ms_bands=4, but the sensor nikon-d5100 has 3 bands"),
        ("model.system=jsunet", "did you mean 'jssunet'"),
        ("phase1.kind=unfold", "did you mean 'unfolding'"),
        ("data.sensor=nikon", "unknown sensor"),
        ("data.crop=18", r"data\.crop=18"),
    ],
)
def test_a_recipe_that_cannot_be_run_is_refused(overrides: list[str], override: str, message: str) -> None:
    with pytest.raises(fw.InputError, match=message):
        train("jssunet-cave-x4", [*overrides, override])


def test_an_output_folder_that_cannot_be_written(overrides: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(fw.InputError, match="cannot write to"):
        train("jssunet-cave-x4", [*overrides, f"out={tmp_path / 'file' / 'run'}"])
