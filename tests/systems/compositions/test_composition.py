"""Compositions are their parts one after the other, whichever way they were built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import finewave as fw
from finewave.systems.compositions.networks import Composition
from finewave.systems.registry import SYSTEMS, create_model
from finewave.zoo.compose import compose, compositions
from finewave.zoo.model import Model
from tests.training.stand_ins import STAND_INS

PARTS = {"sr": "plain-sr", "ssr": "plain-ssr", "fusion": "plain-fusion"}


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, system in STAND_INS.items():
        monkeypatch.setitem(SYSTEMS, name, system)


def part(role: str, **config: Any) -> Model:
    torch.manual_seed(len(role))
    return Model(create_model(PARTS[role], **config).eval())


def by_hand(name: str, models: dict[str, Model], lr_msi: torch.Tensor) -> torch.Tensor:
    if name == "sr-ssr":
        return models["ssr"].predict(hr_msi=models["sr"].predict(lr_hsi=lr_msi))
    if name == "ssr-sr":
        return models["sr"].predict(lr_hsi=models["ssr"].predict(hr_msi=lr_msi))
    hr_msi, lr_hsi = models["sr"].predict(lr_hsi=lr_msi), models["ssr"].predict(hr_msi=lr_msi)
    return models["fusion"].predict(lr_hsi=lr_hsi, hr_msi=hr_msi)


def parts_of(name: str, scale: int = 3, ms_bands: int = 2, hs_bands: int = 5) -> dict[str, Model]:
    models = {
        "sr": part("sr", scale=scale, hs_bands=hs_bands if name == "ssr-sr" else ms_bands),
        "ssr": part("ssr", ms_bands=ms_bands, hs_bands=hs_bands, width=6),
    }
    if name == "sr-ssr-fusion":
        models["fusion"] = part("fusion", scale=scale, ms_bands=ms_bands, hs_bands=hs_bands)
    return models


@pytest.mark.parametrize("name", compositions())
def test_a_composition_of_models_is_the_models_one_after_the_other(name: str, tmp_path: Path) -> None:
    models = parts_of(name)
    whole = compose(name, **models)
    x = torch.rand(2, 2, 5, 4)
    expected = by_hand(name, models, x)
    assert expected.shape == (2, 5, 15, 12)
    torch.testing.assert_close(whole.predict(lr_msi=x), expected)
    # one folder, one card, and the same again
    whole.save(tmp_path / "whole")
    again = fw.load_model(tmp_path / "whole")
    torch.testing.assert_close(again.predict(lr_msi=x), expected)
    assert again.card.system == name
    assert again.card.config["ssr_options"] == {"width": 6}
    assert (again.scale, again.card.config["ms_bands"], again.card.config["hs_bands"]) == (3, 2, 5)


def test_there_are_three() -> None:
    assert compositions() == ["sr-ssr", "ssr-sr", "sr-ssr-fusion"]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("sr-ssr", {"sr": ("sr", {"hs_bands": 4})}, r"ms_bands is 4 for sr \(PlainSR\), but 2 for ssr \(PlainSSR\)"),
        ("ssr-sr", {"sr": ("sr", {"hs_bands": 4})}, r"hs_bands is 5 for ssr \(PlainSSR\), but 4 for sr \(PlainSR\)"),
        ("sr-ssr-fusion", {"fusion": ("fusion", {"scale": 2})}, r"scale is 3 for sr .* but 2 for fusion"),
        ("sr-ssr-fusion", {"fusion": ("fusion", {"hs_bands": 6})}, r"hs_bands is 5 for ssr .* but 6 for fusion"),
        ("sr-ssr", {"sr": ("ssr", {})}, r"PlainSSR is a model for ssr; the part sr of sr-ssr is needed"),
        ("sr-ssr", {"sr": None}, "sr-ssr needs the part sr; given: ssr"),
        ("sr-ssr", {"fusion": ("fusion", {})}, "unknown part of sr-ssr 'fusion'"),
        ("sr-srs", {}, "unknown composition 'sr-srs'; did you mean"),
    ],
)
def test_parts_that_do_not_fit_are_refused(name: str, change: dict, message: str) -> None:
    models = parts_of(name if name in compositions() else "sr-ssr")
    for role, changed in change.items():
        if changed is None:
            del models[role]
        else:
            kind, config = changed
            base = {"scale": 3, "hs_bands": 5 if kind != "sr" else 2, "ms_bands": 2}
            keys = {"sr": {"scale", "hs_bands"}, "ssr": {"ms_bands", "hs_bands"}, "fusion": set(base)}[kind]
            models[role] = part(kind, **{k: v for k, v in {**base, **config}.items() if k in keys})
    with pytest.raises(ValueError, match=message):
        compose(name, **models)


def test_cards_agree_or_are_refused(tmp_path: Path) -> None:
    models = parts_of("sr-ssr")
    facts = {
        "sr": {"sensor": "srgb", "degradation": {"kernel": "gaussian", "scale": 3}, "wavelengths_nm": [500.0, 600.0]},
        "ssr": {
            "sensor": "srgb",
            "degradation": {"kernel": "gaussian", "scale": 1},
            "wavelengths_nm": [400.0, 450.0, 500.0, 550.0, 600.0],
        },
    }

    def saved(role: str, **more: Any) -> Model:
        return fw.load_model(models[role].save(tmp_path / role, name=role, **{**facts[role], **more}))

    card = compose("sr-ssr", sr=saved("sr"), ssr=saved("ssr")).card
    assert card.wavelengths_nm == facts["ssr"]["wavelengths_nm"]
    assert card.sensor == "srgb"
    assert card.degradation == {"kernel": "gaussian", "scale": 3}
    assert "sr: sr (sha256 " in card.notes
    with pytest.raises(ValueError, match="sr-ssr: sensor is srgb for sr, but nikon-d5100 for ssr"):
        compose("sr-ssr", sr=saved("sr"), ssr=saved("ssr", sensor="nikon-d5100"))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"sr": "plain-ssr"}, "sr='plain-ssr' is a system for ssr; one for sr is needed"),
        ({"sr": "plainsr"}, "did you mean 'plain-sr'"),
        ({"sr": "plain-sr", "sr_options": {"hs_bands": 3}}, "sr_options has hs_bands, which follows"),
        ({"sr": "plain-sr", "sr_options": 3}, "sr_options=3 is not a mapping"),
        ({"sr": "plain-sr", "ssr_options": {"widht": 3}}, "did you mean 'width'"),
        ({"scale": 1}, "sr-ssr: scale=1 is out of range"),
    ],
)
def test_what_is_wrong_is_named(config: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create_model("sr-ssr", **{"ssr": "plain-ssr", **config})


def images(scale: int = 3) -> dict[str, torch.Tensor]:
    return {
        "lr_msi": torch.rand(1, 2, 5, 4),
        "hr_msi": torch.rand(1, 2, 5 * scale, 4 * scale),
        "lr_hsi": torch.rand(1, 5, 5, 4),
        "hr_hsi": torch.rand(1, 5, 5 * scale, 4 * scale),
    }


def network(name: str) -> Composition:
    net = compose(name, **parts_of(name)).net
    assert isinstance(net, Composition)
    return net


@pytest.mark.parametrize(
    ("name", "role", "reads", "target"),
    [
        ("sr-ssr", "sr", {"lr_hsi": "lr_msi"}, "hr_msi"),
        ("sr-ssr", "ssr", {"hr_msi": "hr_msi"}, "hr_hsi"),
        ("ssr-sr", "ssr", {"hr_msi": "lr_msi"}, "lr_hsi"),
        ("ssr-sr", "sr", {"lr_hsi": "lr_hsi"}, "hr_hsi"),
        ("sr-ssr-fusion", "fusion", {"lr_hsi": "lr_hsi", "hr_msi": "hr_msi"}, "hr_hsi"),
    ],
)
def test_what_a_part_learns_from(name: str, role: str, reads: dict[str, str], target: str) -> None:
    net, true = network(name).train(), images()
    batch = net.batch_of(role, true, estimates=False)
    assert {own: id(x) for own, x in batch.items()} == {
        **{own: id(true[image]) for own, image in reads.items()},
        "hr_hsi": id(true[target]),
    }
    estimated = net.batch_of(role, true, estimates=True)
    assert estimated["hr_hsi"] is true[target]
    known = net.eval().estimates(true)
    for own, image in reads.items():
        torch.testing.assert_close(estimated[own], known[image])
        assert not estimated[own].requires_grad
    assert net.train().sr.training  # as it was


def test_parts_that_are_fitted_beforehand_see_what_they_will_see() -> None:
    """bicubic and quadratic regression: the floor of joint super-resolution is one of the compositions."""
    net = create_model("sr-ssr", scale=3, ms_bands=2, hs_bands=4, sr="bicubic", ssr="quadratic")
    lr_msi = torch.rand(1, 2, 8, 8)
    x = net.sr(lr_msi)
    hr_hsi = torch.stack((x[:, 0], x[:, 1] ** 2, x[:, 0] * x[:, 1], 1 - x[:, 0]), 1)
    net.prepare_from(iter([{"lr_msi": lr_msi, "hr_msi": torch.rand_like(x), "hr_hsi": hr_hsi}]), 0)
    torch.testing.assert_close(net(lr_msi), hr_hsi, rtol=1e-3, atol=1e-4)


def test_reach_and_multiples_add_up() -> None:
    net = network("sr-ssr-fusion")
    assert net.receptive_field == 3 + 3  # sr reaches 3 LR pixels, ssr none; fusion 3 more
    assert net.size_multiple == 1
    net.fusion.receptive_field = None
    assert net.receptive_field is None
    net.sr.size_multiple, net.ssr.size_multiple = 2, 3
    assert net.size_multiple == 6
