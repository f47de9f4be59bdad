"""Means of models: the formula, consistency, the card, and members that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import finewave as fw
from finewave.errors import InputError
from finewave.inference.predict import predict_file
from finewave.io.open_save import load_scene, save_scene
from finewave.scene import make_scene
from finewave.systems.registry import create_model
from finewave.zoo.card import describe
from finewave.zoo.ensemble import ensemble
from finewave.zoo.model import Model
from finewave.zoo.names import member_names

NM = np.arange(400.0, 701.0, 20.0)
SENSOR = "nikon-d5100"
BLUR = {"kernel": "gaussian", "scale": 2}
MEMBERS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "ssr": [("ridge", {}), ("quadratic", {})],
    "sr": [("bicubic", {}), ("edsr", {"features": 4, "blocks": 1})],
    "sssr": [("sr-ssr", {"sr": "bicubic", "ssr": "ridge"}), ("ssr-sr", {"sr": "bicubic", "ssr": "quadratic"})],
    "fusion": [("gsa", {}), ("jssunet-fusion", {"features": 8, "stages": 1, "fusion_blocks": 1})],
}


def models_of(task: str, **facts: Any) -> list[Model]:
    """Return two small models whose cards say how inputs are observed."""
    torch.manual_seed(1)
    made = []
    for number, (system, options) in enumerate(MEMBERS[task]):
        whole = {} if task == "ssr" else {"scale": 2}
        net = create_model(system, hs_bands=len(NM), **whole, **options).eval()
        known = {"sensor": SENSOR, "degradation": BLUR, "wavelengths_nm": NM.tolist(), **facts}
        made.append(Model(net, describe(net, name=f"{system}-{number}", **known)))
    return made


def inputs_of(model: Model) -> dict[str, torch.Tensor]:
    """Return what is observed of one random HR-HSI."""
    truth = torch.rand(1, len(NM), 12, 16, generator=torch.Generator().manual_seed(2))
    images = {
        "hr_msi": fw.degrade(truth, 1, sensor=SENSOR, wavelengths=NM),
        "lr_hsi": fw.degrade(truth, 2),
        "lr_msi": fw.degrade(truth, 2, sensor=SENSOR, wavelengths=NM),
    }
    return {name: images[name] for name in model.inputs}


@pytest.mark.parametrize("task", MEMBERS)
def test_it_is_the_mean_made_consistent_and_stays_so_on_disk(task: str, tmp_path: Path) -> None:
    models = models_of(task)
    images = inputs_of(models[0])
    mean = sum(model.predict(**images) for model in models) / 2
    torch.testing.assert_close(ensemble(*models, consistent=False).predict(**images), mean)
    made = ensemble(*models, name="both")
    result = made.predict(**images)
    scale = made.scale
    seen = {
        "lr_hsi": lambda x: fw.degrade(x, scale),
        "hr_msi": lambda x: fw.degrade(x, 1, sensor=SENSOR, wavelengths=NM),
        "lr_msi": lambda x: fw.degrade(x, scale, sensor=SENSOR, wavelengths=NM),
    }
    for name, image in images.items():
        again = seen[name](result)
        torch.testing.assert_close(again, image, atol=2e-3, rtol=1e-3)
        assert float((seen[name](mean) - image).abs().max()) > 2e-2  # which the mean alone is not
    loaded = fw.load_model(made.save(tmp_path / "both"))
    torch.testing.assert_close(loaded.predict(**images), result)
    assert loaded.card is not None
    assert loaded.card.notes == "mean of " + ", ".join(f"{m.name} (sha256 not saved)" for m in models)
    assert (loaded.card.task, loaded.card.sensor, loaded.card.degradation) == (task, SENSOR, BLUR)


def test_a_training_finds_the_response() -> None:
    """Prepared of training images, the result gives back what the camera saw, as one of trained models does."""
    truth = torch.rand(1, len(NM), 12, 16, generator=torch.Generator().manual_seed(3))
    seen = fw.degrade(truth, 1, sensor=SENSOR, wavelengths=NM)
    net = create_model("ensemble-ssr", hs_bands=len(NM), members=["ridge", "quadratic"]).eval()
    assert net.prepares
    net.prepare_from([{"hr_msi": seen, "hr_hsi": truth}], 0)
    again = fw.degrade(Model(net).predict(hr_msi=seen), 1, sensor=SENSOR, wavelengths=NM)
    torch.testing.assert_close(again, seen, atol=2e-3, rtol=1e-3)


def test_members_count_by_weight_and_brightness() -> None:
    """Of pixel b: (3 x first + b / (b + 0.2) x second) / (3 + b / (b + 0.2))."""
    options = {"weights": [3.0, 1.0], "half_at": [0.0, 0.2], "consistent": False}
    torch.manual_seed(0)
    net = create_model("ensemble-ssr", hs_bands=5, members=["scene-ridge", "quadratic"], **options).eval()
    plain = create_model("ensemble-ssr", hs_bands=5, members=["scene-ridge", "quadratic"], consistent=False).eval()
    plain.load_state_dict(net.state_dict())
    seen = torch.rand(1, 3, 6, 7, generator=torch.Generator().manual_seed(3))
    seen[..., 0] = 0
    first, second = (member(seen) for member in net.members)
    b = seen.mean(1, keepdim=True)
    share = b / (b + 0.2)
    torch.testing.assert_close(net(hr_msi=seen), (3 * first + share * second) / (3 + share))
    torch.testing.assert_close(net(hr_msi=seen)[..., 0], first[..., 0])
    torch.testing.assert_close(plain(hr_msi=seen), (first + second) / 2)
    made = ensemble(*(Model(member) for member in net.members), **options)
    torch.testing.assert_close(made.predict(hr_msi=seen), net(hr_msi=seen))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": [1.0]}, "1 weights for 2 members"),
        ({"weights": [1.0, 0.0]}, r"weights=\[1.0, 0.0\] is out of range; it must be numbers > 0"),
        ({"weights": [1.0, float("nan")]}, "weights="),
        ({"half_at": [0.1]}, "1 half_at for 2 members"),
        ({"half_at": [0.1, 0.1]}, r"half_at=\[0.1, 0.1\] is out of range; it must be numbers >= 0, one of them 0"),
        ({"half_at": [0.0, -1.0]}, "half_at="),
    ],
)
def test_weights_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        create_model("ensemble-ssr", **options)


def test_a_member_that_does_not_fit_is_refused_in_one_line() -> None:
    ridge, quadratic = models_of("ssr")
    (bicubic, _), (joint, other) = models_of("sr"), models_of("sssr")
    assert other.card is not None
    assert joint.card is not None
    narrow = Model(create_model("ridge", hs_bands=5).eval())
    wide = Model(other.net, other.card.with_facts(degradation={"kernel": "bicubic", "scale": 2}))
    camera = Model(quadratic.net, quadratic.card.with_facts(sensor="srgb"))  # type: ignore[union-attr]
    for members, message in (
        ((ridge, bicubic), "bicubic-0 does not fit the ensemble: its task is sr, that of ridge-0 ssr"),
        ((ridge, narrow), "its number of HS bands is 5, that of ridge-0 16"),
        ((joint, wide), r"degradation is .*bicubic.* on its card, .*gaussian.* on that of sr-ssr-0"),
        ((ridge, camera), "sensor is srgb on its card, nikon-d5100 on that of ridge-0"),
        ((ridge,), "an ensemble has two or more models; given: ridge-0"),
        ((Model(ridge.net), Model(quadratic.net)), r"does not say sensor and wavelengths"),
    ):
        with pytest.raises(InputError, match=message) as refused:
            ensemble(*members)
        assert "\n" not in str(refused.value)


def test_names_with_a_plus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert member_names("a+b") == ["a", "b"]
    assert member_names("mst++") == []
    Path("a+b").mkdir()
    assert member_names("a+b") == []


def test_on_files_baselines_take_sensor_and_scale_from_trained_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    scene = make_scene(generator.random((len(NM), 9, 8), np.float32), NM)
    save_scene(scene, tmp_path / "truth.nc")
    seen = fw.degrade(scene, 1, sensor=SENSOR)
    save_scene(seen, tmp_path / "seen.nc")
    trained, _ = models_of("ssr")
    trained.save(tmp_path / "mine")
    predict_file(tmp_path / "seen.nc", tmp_path / "out.nc", "mine+knn", spectra=tmp_path / "truth.nc")
    result = load_scene(tmp_path / "out.nc")
    np.testing.assert_allclose(fw.degrade(result, 1, sensor=SENSOR).values, seen.values, atol=1e-3)
    single = fw.super_resolve(seen, "knn", sensor=SENSOR, spectra=tmp_path / "truth.nc")
    mean = (single.values + fw.super_resolve(seen, "mine").values) / 2
    assert 0 < np.abs(result.values - mean).mean() < 0.5
    spatial = [model.save(tmp_path / model.name) for model in models_of("sr")]
    predict_file(tmp_path / "truth.nc", tmp_path / "fine.nc", f"{spatial[1].name}+bicubic", tile=4)
    fine = load_scene(tmp_path / "fine.nc")
    assert fine.shape == (len(NM), 18, 16)
    np.testing.assert_allclose(fw.degrade(fine, 2).values, scene.values, atol=2e-3)
    predict_file(tmp_path / "truth.nc", tmp_path / "two.nc", "edsr-1+bicubic-0")
    np.testing.assert_allclose(load_scene(tmp_path / "two.nc").values, fine.values, atol=1e-4)
