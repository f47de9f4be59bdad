"""Residual fusion: where it starts, what it leaves alone, and that its fit learns."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from finewave.errors import InputError
from finewave.nn.sampling import bicubic
from finewave.physics.degradation import degrade
from finewave.physics.sensors.estimation import estimate_response
from finewave.systems.baselines.local_regression import LocalRegression
from finewave.systems.registry import create_model
from finewave.systems.residual_fusion.fitting import Fitting, fit
from finewave.systems.residual_fusion.network import ResidualFusion
from finewave.systems.tile_stages import Margins
from finewave.zoo.model import Model

SMALL: dict[str, Any] = {"components": 3, "features": 8, "blocks": 1, "windows": [1.0], "ridge": [1e-4]}


def sample(scale: int, bands: int = 6, height: int = 7, width: int = 9, seed: int = 0) -> dict[str, Tensor]:
    """Images of a camera of two bands whose detail in the other directions bends with what it sees."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 2, height * scale // 2, width * scale // 2, generator=generator)
    a, b = bicubic(coarse, (height * scale, width * scale)).clamp(0.02, 1).unbind(1)
    mixed = torch.Generator().manual_seed(7)
    spectra = torch.rand(bands, 4, generator=mixed)
    hsi = torch.einsum("km,bmhw->bkhw", spectra, torch.stack([a, b, (a - b).abs(), a * b], 1)) / 4
    msi = torch.einsum("ck,bkhw->bchw", torch.rand(2, bands, generator=mixed) / bands, hsi)
    return {"lr_hsi": degrade(hsi, scale), "hr_msi": msi, "hr_hsi": hsi}


def build(scale: int = 4, **options: Any) -> ResidualFusion:
    torch.manual_seed(0)
    return ResidualFusion(scale, 2, 6, **{**SMALL, **options})


@pytest.mark.parametrize("scale", [2, 3, 4, 5, 8])
def test_it_starts_as_the_regression(scale: int) -> None:
    images = sample(scale)
    start = build(scale)(images["lr_hsi"], images["hr_msi"])
    expected = LocalRegression(scale, 2, 6, windows=[1.0], ridge=[1e-4])(images["lr_hsi"], images["hr_msi"])
    torch.testing.assert_close(start, expected)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_what_the_inputs_determine_is_left_alone(scale: int) -> None:
    """Whatever the network says: D H = h, and R H = R L for the R that the basis was found with."""
    images = sample(scale)
    net = build(scale, initialisation="framework", steps=0, crop=scale).double()
    net.prepare_from([images], 0)
    images = {key: image.double() for key, image in images.items()}
    h, x = images["lr_hsi"], images["hr_msi"]
    with torch.no_grad():
        result, start = net(h, x), net.regression(h, x)
    assert (result - start).abs().max() > 1e-4
    torch.testing.assert_close(degrade(result, scale), h, rtol=1e-4, atol=1e-6)
    response = estimate_response([(x[0].numpy(), images["hr_hsi"][0].numpy())])
    change = torch.einsum("ck,bkhw->bchw", torch.from_numpy(response), result - start)
    assert change.abs().max() < 1e-4 * (result - start).abs().max()


def test_the_fit_lowers_the_error_on_another_scene() -> None:
    net = build(steps=200, crop=24, learning_rate=1e-2, features=16)
    samples = [sample(4, seed=seed, height=12, width=12) for seed in range(3)]
    losses = [loss for _, loss in fit(net, samples, 0)]
    assert sum(losses[-20:]) < 0.95 * sum(losses[:20])
    other = sample(4, seed=9)
    before = LocalRegression(4, 2, 6, windows=[1.0], ridge=[1e-4])(other["lr_hsi"], other["hr_msi"])
    with torch.no_grad():
        after = net(other["lr_hsi"], other["hr_msi"])
    first, last = ((image - other["hr_hsi"]).square().mean() for image in (before, after))
    assert last < 0.9 * first
    assert not net.training


def test_the_same_seed_gives_the_same_network() -> None:
    nets = [build(steps=3, crop=12) for _ in range(3)]
    for net, seed in zip(nets, (1, 1, 2), strict=True):
        net.prepare_from([sample(4)], seed)
    a, b, c = (net.last.weight for net in nets)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_the_basis_is_orthonormal_and_the_rate_ends_at_zero() -> None:
    net = build(steps=1, crop=8)
    net.prepare_from([sample(4)], 0)
    torch.testing.assert_close(net.basis.T @ net.basis, torch.eye(3), rtol=1e-5, atol=1e-5)
    fitting = Fitting(steps=100, crop=8, batch_size=1, learning_rate=0.5)
    rates = [fitting.rate(step) for step in range(101)]
    assert max(rates) == pytest.approx(0.5)
    assert rates[0] == pytest.approx(0.1)
    assert rates[100] == pytest.approx(0)


@pytest.mark.parametrize(("scale", "largest", "side"), [(2, 30, 16), (3, 20, 10), (9, 6, 4), (16, 3, 3), (40, 9, 4)])
def test_crops_by_default(scale: int, largest: int, side: int) -> None:
    """32 HR pixels, four LR pixels where those are more, and no more than the largest image holds."""
    assert build(scale).fitting.side(scale, largest) == side


def test_an_image_smaller_than_the_default_crop_is_fitted_to() -> None:
    net = build(16, steps=1)
    net.prepare_from([sample(16, height=3, width=5)], 0)
    assert net.last.weight.abs().max() > 0


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_twice_the_light_is_twice_the_result_where_it_is_bright(scale: int) -> None:
    images = sample(scale)
    net = build(scale, initialisation="framework", ridge=[1e-2])
    with torch.no_grad():
        once = net(images["lr_hsi"] * 100, images["hr_msi"] * 100)
        twice = net(images["lr_hsi"] * 200, images["hr_msi"] * 200)
    torch.testing.assert_close(twice, 2 * once, rtol=1e-3, atol=0.02)


def test_images_that_cannot_be_fitted_to() -> None:
    with pytest.raises(InputError, match="residual-fusion needs training images; there are none"):
        build().prepare_from([], 0)
    with pytest.raises(InputError, match="crop=40 is larger than every training image"):
        build(crop=40).prepare_from([sample(4)], 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"components": 0}, "components=0"),
        ({"features": 0}, "features=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"crop": 3}, "crop=3 is out of range; it must be >= 4"),
        ({"learning_rate": 0.0}, "learning_rate=0.0"),
        ({"windows": [1.0]}, "ridge="),
        ({"initialisation": "zero"}, "initialisation"),
        ({"scale": 1}, "scale=1"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create_model("residual-fusion", **options)


def test_noise_that_is_estimated_is_kept_out() -> None:
    """Of the same weights: closer to the truth with noise, the same without but for a little."""
    images = sample(4, bands=6, height=16, width=18)
    plain = build(initialisation="framework", steps=0, crop=8)
    plain.prepare_from([images], 0)
    aware = build(initialisation="framework", noise="estimated")
    aware.load_state_dict(plain.state_dict())
    assert aware.receptive_field > plain.receptive_field
    random = torch.Generator().manual_seed(3)
    noisy = {key: image + 0.05 * torch.randn(image.shape, generator=random) for key, image in images.items()}
    with torch.no_grad():
        results = [net(noisy["lr_hsi"], noisy["hr_msi"]) for net in (plain, aware)]
    before, after = ((result - images["hr_hsi"]).square().mean() for result in results)
    assert after < 0.7 * before


def test_halos_with_noise() -> None:
    """Exact where a tile sees as much as each stage says; measured ones grow by what noise adds."""
    plain, aware = (build(2, initialisation="framework", noise=each) for each in ("ignored", "estimated"))
    stages = aware.tile_stages()
    halos = {stage.name: stage.halo for stage in stages}
    assert list(halos) == ["noise", *(stage.name for stage in plain.tile_stages())]
    exact = {stage.name: stage.halo for stage in plain.tile_stages()}
    assert aware.halos_from(exact, ["noise"]) == halos
    assert plain.halos_from(exact, ["noise"]) == exact
    less = {name: halo - 1 for name, halo in exact.items()}
    assert aware.halos_from(less, ["noise"]) == {name: halo - 1 for name, halo in halos.items()}
    assert aware.halos_from(exact, ["noise", "windows"]) is None
    assert aware.halos_from(halos, ["noise"]) is None, "measured with noise"

    core, side = 4, 2 * halos["noise"] + 10
    images = sample(2, height=side, width=side)
    random = torch.Generator().manual_seed(3)
    noisy = {name: images[name] + 0.05 * torch.randn(images[name].shape, generator=random) for name in aware.inputs}
    top, left = (side - core) // 2 - 2, (side - core) // 2 + 2  # not the middle

    def margins(halo: int) -> Margins:
        bottom, right = side - core - top, side - core - left
        return Margins(*(max(0, each - halo) for each in (top, bottom, left, right)))

    model = Model(aware, precision="float32")
    whole = margins(0).cut(model.run(noisy), 2)
    tile = model.run(noisy, [margins(stage.halo) for stage in stages])
    torch.testing.assert_close(Margins(*[halos["correction"]] * 4).cut(tile, 2), whole, rtol=0, atol=1e-5)
