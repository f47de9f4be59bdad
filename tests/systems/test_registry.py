"""Building networks by name."""

from __future__ import annotations

import pytest
import torch

from finewave.physics.degradation import degrade
from finewave.systems.jssunet.network import JSSUNet
from finewave.systems.registry import config_of, create_model, with_degradation
from finewave.zoo.distribution.listing import list_models


def test_names_and_tasks() -> None:
    assert "jssunet" in list_models()
    assert "jssunet" in list_models(task="sssr")
    assert "residual-fusion-cave-x4" in list_models(task="fusion", trained=True)
    assert "awan-cave" in list_models(task="ssr", trained=True)
    with pytest.raises(ValueError, match=r"unknown task 'sssrr'; did you mean 'sssr'\?"):
        list_models(task="sssrr")


def test_config_holds_defaults_and_builds_the_same_network() -> None:
    net = create_model("jssunet", scale=3, features=8, stages=1)
    system, config = config_of(net)
    assert isinstance(net, JSSUNet)
    assert (system, config["scale"], config["hs_bands"]) == ("jssunet", 3, 31)
    assert net.config == config
    shapes = {k: v.shape for k, v in create_model(system, **config).state_dict().items()}
    assert shapes == {k: v.shape for k, v in net.state_dict().items()}


def test_config_is_unknown_for_a_class_called_directly() -> None:
    with pytest.raises(ValueError, match="create_model"):
        config_of(JSSUNet(features=4, stages=1, post=False))


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("jsunet", {}, r"unknown model 'jsunet'; did you mean 'jssunet'\?"),
        ("jssunet", {"stage": 3}, r"unknown option of jssunet 'stage'; did you mean 'stages'\?"),
        ("jssunet", {"clusters": "learnt"}, "unknown clusters of jssunet 'learnt'; did you mean 'learned'"),
        ("jssunet", {"scale": "4"}, "scale='4' is of the wrong kind; it must be int"),
        ("jssunet", {"ms_bands": True}, "ms_bands=True is of the wrong kind"),
        ("jssunet", {"post": 1}, "post=1 is of the wrong kind; it must be bool"),
        ("jssunet", {"scale": 1}, "scale=1 is out of range"),
        ("jssunet", {"hs_bands": 0}, "hs_bands=0 is out of range"),
    ],
)
def test_what_is_wrong_is_named(name: str, config: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create_model(name, **config)


def test_an_integer_is_a_float() -> None:
    assert create_model("jssunet", features=4, stages=1, top_percent=20).config["top_percent"] == 20
    assert torch.is_tensor(next(create_model("jssunet", features=4, stages=1, post=False).parameters()))


def test_the_degradation_reaches_what_inverts_one() -> None:
    """Parts of a composition as well; what is stated stays, and what has no such option gets none."""
    blur = {"kernel": "bicubic"}
    parts = {"sr": "ibp", "ssr": "quadratic"}
    assert with_degradation("ibp", {"iterations": 3}, blur) == {"iterations": 3, "degradation": blur}
    assert with_degradation("bicubic", {}, blur) == {}
    assert with_degradation("sr-ssr", parts, blur) == {**parts, "sr_options": {"degradation": blur}}
    own = {**parts, "sr_options": {"iterations": 3, "degradation": {"kernel": "gaussian"}}}
    assert with_degradation("sr-ssr", own, blur) == own
    net = create_model("sr-ssr", **with_degradation("sr-ssr", {**parts, "sr_options": {"iterations": 40}}, blur))
    low = torch.rand(1, 3, 6, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(degrade(net.part("sr")(low), 4, kernel="bicubic"), low, atol=1e-2, rtol=0)
