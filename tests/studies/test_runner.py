from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

import finewave as fw
from finewave.datasets.store import Store
from finewave.io.sole_writer import sole_writer
from finewave.studies.reports.table_formats import write_table
from finewave.studies.reports.tables import build_table
from finewave.studies.results import all_results, find_result
from finewave.studies.runner import missing_groups, run_groups, trainings_folder
from finewave.studies.scoring import score
from tests.fork_server import ForkServer
from tests.studies.conftest import request_of
from tests.training.dying import dying

SCRIPT = """
import sys
from finewave.cli import main
from finewave import provenance
from finewave.training import trainer as training
from tests.studies.tiny import register
from tests.training.dying import die_if_asked
register()
die_if_asked()
provenance.checkout_revision = training.checkout_revision = lambda **_: "one"  # it may change meanwhile
main(sys.argv[1:])
"""
pytestmark = pytest.mark.usefixtures("tiny", "prepared")


def finish(out: Path, **said: object) -> dict[str, str]:
    request = request_of(**said)
    return run_groups(missing_groups(request.cells(), out), out, lambda line: None)


def quiet(*_: object) -> None:
    return None


def test_a_study_from_nothing_and_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    assert finish(out) == {}
    request = request_of()
    cells = list(request.cells())
    assert len(all_results(out)) == len(cells) == 4
    # two rows are one training; the floor has none
    assert len([folder for folder in trainings_folder(out).iterdir() if folder.is_dir()]) == 2
    assert not [*trainings_folder(out).rglob("last.ckpt"), *trainings_folder(out).glob(".*.lock")]
    before = [path.read_text() for path in write_table(build_table(request, out), out)]
    assert "bicubic + quadratic" in before[0]

    with monkeypatch.context() as patch:
        patch.setattr("finewave.studies.runner.run_group", lambda *_: pytest.fail("run again"))
        assert missing_groups(request.cells(), out) == []
        assert finish(out) == {}
    assert [path.read_text() for path in write_table(build_table(request, out), out)] == before

    # a cell that is removed is scored again from the weights that are there
    last = cells[-1]
    result = find_result(out, last)
    (out / "cells" / f"{last.key}.json").unlink()
    monkeypatch.setattr("lightning.Trainer.fit", lambda *_, **__: pytest.fail("trained again"))
    assert finish(out) == {}
    assert find_result(out, last)["images"] == result["images"]


def test_scores_are_those_of_the_crops_by_hand(tmp_path: Path, prepared: Path) -> None:
    """Each crop by itself: what the network sees of it, and the metrics of it in JSSUNet's convention."""
    request = request_of(rows=["with", "without"])
    cells = list(request.cells())
    torch.manual_seed(1)
    options = {key: value for key, value in cells[0].recipe["model"].items() if key != "system"}
    from finewave.zoo.model import Model

    net = fw.create_model("jssunet", **options).eval()
    torch.nn.init.normal_(net.post.tail.weight, std=0.01)
    model = Model(net, precision="float32")
    store = Store(prepared / "cave.zarr")
    target = torch.from_numpy(store.read("scene3").astype(np.float32))[None] / 65535
    lr_msi = fw.degrade(target, 4, "nikon-d5100", wavelengths=store.wavelengths)
    for cell in cells:
        scores = score(model, cell)
        assert len(scores["images"]) == 9
        small, large = lr_msi[:, :, 4:8, 8:12], target[:, :, 16:32, 32:48]
        with torch.no_grad():
            expected = net(small) if cell.row.post else net.forward_stages(small).fusion[-1]
        by_hand = fw.metrics.evaluate(expected, large, scale=4, convention="jssunet")
        assert scores["images"]["scene3[16,32]"] == pytest.approx(by_hand, rel=1e-4)
        assert scores["mean"]["psnr"] == pytest.approx(np.mean([v["psnr"] for v in scores["images"].values()]))
        assert scores["scenes_sha256"] == {"scene3": store.checksum("scene3")}


def test_scores_do_not_depend_on_a_training_before_them(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def estimate(model: object, images: dict, image: str) -> torch.Tensor:
        seen.append((torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32))
        return images[image]

    monkeypatch.setattr("finewave.studies.scoring.estimate", estimate)
    cell = next(iter(request_of(rows=["floor"]).cells()))
    from finewave.studies.scoring import baseline

    torch.set_float32_matmul_precision("high")  # as `finewave.training.trainer.train` leaves it
    try:
        score(baseline(cell), cell)
        assert set(seen) == {("highest", False)}
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_what_a_branch_makes_is_scored_against_its_own_truth(prepared: Path) -> None:
    from finewave.studies.study_request import request_cells
    from finewave.zoo.model import Model

    store = Store(prepared / "cave.zarr")
    target = torch.from_numpy(store.read("scene3").astype(np.float32))[None] / 65535
    hr_msi = fw.degrade(target, 1, "nikon-d5100", wavelengths=store.wavelengths)
    lr_msi, lr_hsi = fw.degrade(hr_msi, 4), fw.degrade(target, 4)
    for study, part, truth in (("table3", "sr", hr_msi), ("table4", "ssr", lr_hsi)):
        overrides = {"protocol": "finewave", "split": "val", "datasets": ["cave"]}
        cell = next(iter(request_cells(study, **overrides).cells()))
        options = {key: value for key, value in cell.recipe["model"].items() if key != "system"}
        options[f"{part}_options"] = {**options[f"{part}_options"], "features": 8, "stages": 1}
        net = fw.create_model(cell.row.system, **options).eval()
        if cell.row.image == "hr_msi":
            net.ssr.requires_grad_(False)
        with torch.no_grad():
            expected = fw.metrics.evaluate(getattr(net, part)(lr_msi), truth, scale=4)
        assert score(Model(net), cell)["mean"] == pytest.approx(expected, rel=1e-4)


def test_a_split_that_is_not_whole_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = finish(tmp_path / "out", rows=["floor"], split="test")  # the small store has no test scenes
    assert ["cave lacks" in why and "flowers" in why for why in failures.values()] == [True]
    monkeypatch.setattr("finewave.studies.scoring.split_of", lambda _: {"val": ("scene3", "scene9")})
    failures = finish(tmp_path / "out", rows=["floor"])
    assert ["scene9" in why for why in failures.values()] == [True]
    assert all_results(tmp_path / "out") == []
    failures = finish(tmp_path / "out", rows=["floor"], split="vall")
    assert ["did you mean 'val'" in why for why in failures.values()] == [True]


def test_one_failure_does_not_stop_the_others(tmp_path: Path) -> None:
    request = request_of(protocol="jssunet")  # crops of 128 in scenes of 48
    failures = run_groups(missing_groups(request.cells(), tmp_path)[:1], tmp_path, quiet)
    assert "choose another one with --protocol" in next(iter(failures.values()))
    table = build_table(request, tmp_path)
    assert "–: not made" in table.notes


def test_two_processes_do_not_train_the_same(tmp_path: Path) -> None:
    group = missing_groups(request_of(rows=["floor"]).cells(), tmp_path)
    trainings_folder(tmp_path).mkdir()
    with sole_writer(trainings_folder(tmp_path) / f"{group[0][0].training}.yaml"):
        failures = run_groups(group, tmp_path, quiet)
    assert "another run is writing" in next(iter(failures.values()))
    assert run_groups(group, tmp_path, quiet) == {}


@pytest.mark.slow
def test_killed_and_started_again_it_is_the_same_table(tmp_path: Path, fork_server: ForkServer) -> None:
    """SIGKILL in a training; the same command afterwards makes the table of a study that was left alone."""
    asked = ["study", "tiny", "--datasets", "cave", "--split", "val", "--budget", "12steps", "--rows", "floor", "none"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = [*asked, "--out", tmp_path / "killed"]
    ended = fork_server.run(SCRIPT, *killed, env=environment | dying("after 5"))
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert len(all_results(tmp_path / "killed")) == 1  # the floor; the training had not ended
    for out in ("killed", "calm"):
        fork_server.run(SCRIPT, *asked, "--out", tmp_path / out, env=environment).check_returncode()
    names = sorted(path.name for path in (tmp_path / "calm").glob("tiny-*"))
    assert [name.rpartition(".")[2] for name in names] == ["csv", "md", "tex"]
    for name in names:
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "calm" / name).read_bytes(), name
    a, b = (json.loads(all_results(tmp_path / out)[0].read_text()) for out in ("killed", "calm"))
    assert a["images"] == b["images"]


def test_a_revision_is_said_in_one_way() -> None:
    """Cards hold it in full, the description of the machine in short: both are one revision."""
    from finewave.studies.runner import _short

    assert _short("0123456789abcdef") == _short("0123456") == "0123456"
    assert _short("0123456789abcdef+changes") == "0123456+changes"
    assert _short(None) is None
