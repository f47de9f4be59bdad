"""What the public face promises about models: inputs by name, errors, from a network to a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

import finewave as fw


@pytest.mark.parametrize(
    ("system", "own", "other", "bands"),
    [
        ("bicubic", "lr_hsi", "lr_msi", 3),
        ("jssunet-sr", "lr_hsi", "lr_msi", 3),
        ("ridge", "hr_msi", "lr_msi", 3),
        ("jssunet-ssr", "hr_msi", "lr_msi", 3),
    ],
)
def test_spatial_and_spectral_networks_take_images_of_either_name(
    system: str, own: str, other: str, bands: int
) -> None:
    small = {"features": 8, "stages": 1} if system.startswith("jssunet") else {}
    bands_of = {"hs_bands": 3, "scale": 2} if own == "lr_hsi" else {"ms_bands": 3, "hs_bands": 5}
    model = fw.Model(fw.create_model(system, **bands_of, **small))
    x = torch.rand(1, bands, 8, 6)
    assert torch.equal(model.predict(**{other: x}), model.predict(**{own: x}))
    assert model.bands_of(other) == bands
    with pytest.raises(ValueError, match="takes one image; given: "):
        model.predict(**{own: x, other: x})
    with pytest.raises(ValueError, match=rf"unknown input .* 'ref_rgb'.*{other}"):
        model.predict(ref_rgb=x)
    with pytest.raises(ValueError, match="has 4 bands"):
        model.predict(**{other: torch.rand(1, 4, 8, 6)})


def test_other_tasks_have_no_other_names() -> None:
    model = fw.Model(fw.create_model("gsa", scale=2, ms_bands=3, hs_bands=5))
    with pytest.raises(ValueError, match="unknown input of GSA 'lr_msi'"):
        model.predict(lr_msi=torch.rand(1, 3, 4, 4), hr_msi=torch.rand(1, 3, 8, 8))


def test_from_a_network_to_a_file_and_back(tmp_path: Path) -> None:
    net = fw.create_model("jssunet", scale=2, hs_bands=5, features=8, stages=1, post=False)
    model = fw.Model(net)
    assert (model.card.system, model.card.scale, model.card.config["hs_bands"]) == ("jssunet", 2, 5)
    assert model.card.parameters == sum(p.numel() for p in net.parameters())
    assert model.untrained
    assert model.with_precision("float32").untrained
    again = fw.load_model(model.save(tmp_path / "mine", sensor="nikon-d5100"))
    assert (again.name, again.card.sensor, again.untrained) == ("mine", "nikon-d5100", False)
    x = torch.rand(1, 3, 4, 5)
    assert torch.equal(again.predict(lr_msi=x), model.predict(lr_msi=x))


def test_a_scene_goes_through_a_network() -> None:
    scene = xr.DataArray(np.random.default_rng(0).random((3, 4, 4), np.float32), dims=("band", "y", "x"))
    net = fw.create_model("bicubic", scale=2, hs_bands=3)
    assert np.array_equal(fw.super_resolve(scene, net), fw.super_resolve(scene, fw.Model(net)))


X = torch.zeros(1, 3, 4, 4)
WRONG: dict[str, Callable[[], object]] = {
    "unnamed input": lambda: fw.Model(fw.create_model("bicubic", hs_bands=3)).predict(X),
    "no input": lambda: fw.Model(fw.create_model("bicubic", hs_bands=3)).predict(),
    "array": lambda: fw.Model(fw.create_model("bicubic", hs_bands=3)).predict(lr_hsi=X.numpy()),
    "model of a name": lambda: fw.Model("jssunet"),
    "card of a name": lambda: fw.Model(fw.create_model("bicubic"), "card"),
    "system of no name": lambda: fw.create_model(None),
    "system of a list": lambda: fw.create_model(["jssunet"]),
    "kind of an option": lambda: fw.create_model("jssunet", scale="4"),
    "blocks": lambda: fw.create_model("ssc-hsr", blocks=3),
    "weights of no name": lambda: fw.load_model(None),
    "precision": lambda: fw.load_model("jssunet-cave-x4", precision=3),
    "task": lambda: fw.list_models(3),
    "sensor": lambda: fw.get_sensor(5),
    "scale of metrics": lambda: fw.metrics.evaluate(X, X, scale="4"),
    "model of a scene": lambda: fw.super_resolve(xr.DataArray(X[0].numpy(), dims=("band", "y", "x")), None),
    "state dict": lambda: fw.from_reference("jssunet", None),
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_a_value_error_of_one_line(call: Callable[[], object]) -> None:
    with pytest.raises(fw.InputError) as caught:
        call()
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)
