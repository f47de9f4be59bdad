"""Folds: every scene is scored once, by what was fitted to the others."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import finewave as fw
from finewave.datasets.store import Store
from finewave.errors import InputError
from finewave.evaluation import finished_scores
from finewave.evaluation import folds as folds_module
from finewave.evaluation.baselines import FLOORS
from finewave.evaluation.folds import THIN, Refit, evaluate_folds, make_folds, rows_named, seen_bands
from finewave.evaluation.statistics import bootstrap_interval
from finewave.evaluation.whole_scenes import WholeScenes
from finewave.physics.sensors import get_sensor
from finewave.systems.base import SRNetwork
from finewave.systems.registry import create_model
from finewave.systems.weights import read_weights
from finewave.zoo.card import describe
from finewave.zoo.model import Model

NAMES = [f"scene{i}" for i in range(11)]


@pytest.mark.parametrize("folds", [2, 4, 11, "loo"])
def test_every_scene_is_in_one_fold_and_never_fitted_to_in_it(folds: int | str) -> None:
    dealt = make_folds(NAMES, folds)
    assert sorted(name for fold in dealt for name in fold.scored) == sorted(NAMES)
    assert len(dealt) == (11 if folds == "loo" else folds)
    sizes = [len(fold.scored) for fold in dealt]
    assert max(sizes) - min(sizes) <= 1
    for fold in dealt:
        assert sorted((*fold.scored, *fold.training)) == sorted(NAMES)
    assert dealt == make_folds(NAMES[::-1], folds)  # whatever order they come in


@pytest.mark.parametrize("folds", [1, 12, "half"])
def test_numbers_of_folds_that_there_are_not(folds: int | str) -> None:
    with pytest.raises(InputError, match="2 to 11, as many as there are scenes, or 'loo'"):
        make_folds(NAMES, folds)


def test_leave_one_out_by_hand(small_store: Path) -> None:
    """Each of four scenes by the least-squares quadratic map of the three others."""
    store = Store(small_store)
    response = get_sensor("nikon-d5100").response(store.wavelengths)

    def terms(ms: np.ndarray) -> np.ndarray:
        i, j = np.triu_indices(3)
        return np.vstack((np.ones(ms.shape[1]), ms, ms[i] * ms[j])).T

    names = [f"scene{i}" for i in range(4)]
    hs = {name: store.read(name).astype(np.float64) / 65535 for name in names}
    shown = seen_bands(response)
    expected, seen = {}, []
    for name in names:
        others = np.concatenate([hs[o][:, ::THIN, ::THIN].reshape(31, -1) for o in names if o != name], 1)
        weights = np.linalg.lstsq(terms(response @ others), others.T, rcond=None)[0]
        estimate = (terms(response @ hs[name].reshape(31, -1)) @ weights).T.reshape(31, 48, 48)
        pair = torch.from_numpy(estimate)[None], torch.from_numpy(hs[name])[None]
        expected[name] = fw.metrics.evaluate(*pair, scale=1)
        seen.append(fw.metrics.psnr(pair[0][0, shown], pair[1][0, shown]))
    scores = evaluate_folds(FLOORS["ssr"], "cave", "loo", store=store)
    row = scores["rows"]["quadratic regression"]
    for name in names:
        assert row["images"][name] == pytest.approx(expected[name], rel=2e-3, abs=1e-3)
    mean = np.mean([expected[name]["psnr"] for name in names])
    assert row["mean"]["psnr"] == pytest.approx(mean, rel=1e-3)
    assert row["seen"]["psnr"] == pytest.approx(np.mean(seen), rel=1e-3)
    low, high = row["interval"]["psnr"]
    assert min(each["psnr"] for each in expected.values()) <= low + 0.01 < mean < high
    rows = scores["rows"]
    assert scores["floor"] == max(rows, key=lambda label: rows[label]["mean"]["psnr"])
    assert rows[scores["floor"]]["against_floor"] is None
    other = next(label for label in rows if label != scores["floor"])
    against = rows[other]["against_floor"]["psnr"]
    assert against["difference"] == pytest.approx(rows[other]["mean"]["psnr"] - rows[scores["floor"]]["mean"]["psnr"])
    assert (against["scenes"], scores["protocol"]["seen_nm"]) == (4, [420.0, 650.0])


def test_an_interrupted_run_goes_on_from_its_finished_scores(
    small_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, kept = {"quadratic": ("quadratic", {}), "ridge": ("ridge", {})}, tmp_path / "scores.unfinished"
    run = partial(evaluate_folds, rows, "cave", 2, store=Store(small_store))
    whole = run()

    class KilledError(Exception): ...

    def kill(done: int, total: int) -> None:
        if done == 5:  # of eight: the first scene of the second fold by its first row
            raise KilledError

    with pytest.raises(KilledError):
        run(resume=kept, count=kill)
    kept.write_text(kept.read_text() + '{"row": "ridge", "scene"')
    made = []
    monkeypatch.setattr(
        folds_module, "_scores", lambda *args, scored=folds_module._scores: made.append(1) or scored(*args)
    )
    told: list[str] = []
    assert run(resume=kept, progress=told.append) == whole
    assert (len(made), told[0]) == (3, "5 of 8 scores are there already")
    made.clear()
    assert run(resume=kept) == whole
    assert not made
    # of other code, as an edit between makes it, or another protocol nothing is taken
    monkeypatch.setattr(finished_scores, "code_digest", lambda: "edited")
    assert run(resume=kept) == whole
    assert len(made) == 8
    made.clear()
    evaluate_folds(rows, "cave", 4, store=Store(small_store), resume=kept)
    assert len(made) == 8


@pytest.mark.parametrize("task", ["sr", "fusion"])
def test_other_tasks_have_folds_too(small_store: Path, task: str) -> None:
    rows = dict(list(FLOORS[task].items())[:2])
    scores = evaluate_folds(rows, "cave", 2, scale=4, store=Store(small_store))
    assert [len(fold) for fold in scores["protocol"]["folds"]] == [2, 2]
    assert all(len(row["images"]) == 4 for row in scores["rows"].values())
    with pytest.raises(InputError, match="folds are of one task; given: sr, ssr"):
        evaluate_folds({"a": ("bicubic", {}), "b": ("ridge", {})}, "cave", 2, store=Store(small_store))


def test_what_is_fitted_in_one_go_has_folds(small_store: Path) -> None:
    """Trained again for each fold; trained weights are refused."""
    options = {"components": 2, "features": 4, "blocks": 1, "windows": [1.0], "ridge": [1e-3], "steps": 1, "crop": 16}
    rows, floors = rows_named("residual-fusion", baseline=True)
    assert set(rows) == {"residual-fusion", *FLOORS["fusion"]}
    assert set(floors) == set(FLOORS["fusion"])
    scores = evaluate_folds({"mine": ("residual-fusion", options)}, "cave", 2, scale=2, store=Store(small_store))
    assert len(scores["rows"]["mine"]["images"]) == 4
    with pytest.raises(InputError, match=r"folds are for what is refitted for each \(.*kernel-ridge.*mstpp-cave"):
        rows_named("mstpp-cave", baseline=False)


def test_folds_start_from_weights_that_have_not_seen_their_scenes(small_store: Path, tmp_path: Path) -> None:
    """Joint super-resolution: a trained spatial part, then spectra fitted to what it makes of the other scenes."""
    store, blur = Store(small_store), {"kernel": "gaussian"}
    names = [f"scene{i}" for i in range(4)]
    parts = {"sr": "residual-sr", "ssr": "ridge", "sr_options": {"features": 4, "blocks": 1}}
    run = partial(evaluate_folds, {"mine": ("sr-ssr", parts)}, "cave", 2, scale=2, store=store)
    refits = {"mine": Refit(3, str(tmp_path / "net"))}
    dealt, nets = make_folds(names, 2), []
    for number, fold in enumerate(dealt, 1):
        with pytest.raises(InputError, match=f"net-fold-{number}-of-2 is missing: .* without fold {number}"):
            run(refits=refits)
        torch.manual_seed(number)
        nets.append(create_model("residual-sr", scale=2, hs_bands=3, features=4, blocks=1, degradation=blur))
        torch.nn.init.normal_(nets[-1].tail.weight, std=0.01)
        data = {"dataset": "cave", "split": {"train": list(fold.training)}}
        folder = tmp_path / f"net-fold-{number}-of-2"
        Model(nets[-1], describe(nets[-1], name=folder.name, data=data)).save(folder)
    scores = run(refits=refits)
    # by hand: the network of the fold, ridge regression fitted to its images of the fold's training scenes
    scenes = WholeScenes(store, get_sensor("nikon-d5100").response(store.wavelengths), 2, blur)
    for net, fold in zip(nets, dealt, strict=True):
        whole = create_model("sr-ssr", scale=2, ms_bands=3, hs_bands=31, **{**parts, "sr_options": net_options(net)})
        whole.part("sr").load_state_dict(net.state_dict())
        whole.eval().prepare_from((scenes.sample(name) for name in fold.training), 3)
        for name in fold.scored:
            sample = scenes.sample(name)
            expected = fw.metrics.evaluate(Model(whole).predict(lr_msi=sample["lr_msi"]), sample["hr_hsi"], scale=2)
            assert scores["rows"]["mine"]["images"][name]["psnr"] == pytest.approx(expected["psnr"], abs=1e-3)
    digests = [read_weights(tmp_path / f"net-fold-{number}-of-2" / "model.safetensors")[1] for number in (1, 2)]
    assert scores["protocol"]["recipes"] == {"mine": {"seed": 3, "weights_sha256": digests}}
    (tmp_path / "net-fold-1-of-2").rename(tmp_path / "kept")
    (tmp_path / "net-fold-2-of-2").rename(tmp_path / "net-fold-1-of-2")
    with pytest.raises(InputError, match=r"was trained or chosen on scene., scene., which fold 1 scores"):
        run(refits=refits)
    split = {"train": list(dealt[0].training), "val": list(dealt[0].scored)}  # the best by scenes that are scored
    card = describe(nets[0], name="net-fold-1-of-2", data={"dataset": "cave", "split": split})
    Model(nets[0], card).save(tmp_path / "net-fold-1-of-2")
    with pytest.raises(InputError, match=r"chosen on scene., scene., which fold 1 scores"):
        run(refits=refits)
    data = {"dataset": "cave", "split": {"train": list(dealt[0].training)}}
    card = describe(nets[0], name="net-fold-1-of-2", data=data, recipe={"init_from": "jssunet-cave-x4"})
    Model(nets[0], card).save(tmp_path / "net-fold-1-of-2")
    with pytest.raises(InputError, match="trained from jssunet-cave-x4, which may have seen what fold 1 scores"):
        run(refits=refits)


def net_options(net: SRNetwork) -> dict[str, Any]:
    return {key: net.config[key] for key in ("features", "blocks", "degradation")}


def test_a_mean_of_means_has_folds(small_store: Path) -> None:
    """Made consistent, a mean with itself is what it was."""
    inner = {"members": ["quadratic", "ridge"]}
    twice = {"members": ["ensemble-ssr"] * 2, "options": [inner] * 2}
    rows = {"inner": ("ensemble-ssr", inner), "whole": ("ensemble-ssr", twice)}
    scores = evaluate_folds(rows, "cave", 2, store=Store(small_store))["rows"]
    for name, image in scores["inner"]["images"].items():
        assert scores["whole"]["images"][name]["psnr"] == pytest.approx(image["psnr"], abs=1e-3)


def test_bootstrap_interval_of_a_known_spread() -> None:
    """Of many values it is that of the normal law: the mean and 1.96 standard errors."""
    values = np.random.default_rng(1).normal(30, 2, 400)
    low, high = bootstrap_interval(list(values))
    error = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.02)
    assert bootstrap_interval([3.0, float("nan")]) == (3.0, 3.0)
    assert np.isnan(bootstrap_interval([])).all()


def test_what_looks_around_a_pixel_is_fitted_to_whole_images(small_store: Path) -> None:
    """Every fourth pixel has other surroundings than the pixels of the scenes that are scored."""
    told = []
    for windows in ([3], []):
        rows = {"row": ("scene-ridge", {"centres": 20, "windows": windows})}
        told.append(evaluate_folds(rows, "cave", 2, store=Store(small_store))["protocol"]["fitted_to"])
    assert told == ["all pixels", f"every {THIN}th row and column"]
