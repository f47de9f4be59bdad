"""Ends of spectra from brighter pixels: what dark pixels of the training end in is not learned there."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from finewave.errors import InputError
from finewave.systems.registry import create_model
from finewave.systems.scene_ridge.blue_end import BlueEnd
from finewave.systems.scene_ridge.network import SceneRidge

RIDGE: dict[str, Any] = {"centres": 60, "windows": (3,), "pixels": 2000}
RESPONSE = torch.tensor(
    [[0.0, 0.01, 0.0, 0.1, 0.3, 0.5, 0.1], [0.0, 0.02, 0.3, 0.5, 0.2, 0.0, 0.0], [0.02, 0.1, 0.6, 0.2, 0.0, 0.0, 0.0]]
)


def scene(seed: int, black_level: float = 0.02, side: int = 24) -> dict[str, Tensor]:
    """Smooth mixtures of three materials, half of them in the shade, with light of the camera's own in two bands."""
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.rand(1, 3, side, side, generator=generator)
    materials = torch.tensor(
        [[0.4, 0.5, 0.6, 0.5, 0.3, 0.2, 0.2], [0.1, 0.1, 0.2, 0.4, 0.5, 0.6, 0.7], [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]]
    )
    spectra = torch.einsum("mc,bmyx->bcyx", materials, mixed)
    spectra[..., : side // 2] *= 0.05
    spectra[:, :2] += black_level
    return {"hr_msi": torch.einsum("kc,bcyx->bkyx", RESPONSE, spectra), "hr_hsi": spectra}


def fitted(net: Any) -> Any:
    torch.manual_seed(0)
    net.prepare_from([scene(seed) for seed in range(3)], 0)
    return net.eval()


def test_dark_pixels_end_as_bright_ones_of_their_colour() -> None:
    plain, net = fitted(SceneRidge(3, 7, **RIDGE)), fitted(BlueEnd(3, 7, lift=0.1, ridge=RIDGE))
    seen = torch.full((1, 3, 6, 6), 0.02) * RESPONSE.sum(1)[:, None, None]  # grey
    with torch.no_grad():
        hooked, made = plain(seen)[0, :, 2:4, 2:4].mean((1, 2)), net(seen)[0, :, 2:4, 2:4].mean((1, 2))
    assert hooked[0] / hooked[3] > 1.3
    assert 0.7 < made[0] / made[3] < 1.2
    torch.testing.assert_close(made[2:], hooked[2:], rtol=0.1, atol=1e-3)


def test_bright_pixels_and_other_bands_are_those_of_scene_ridge() -> None:
    plain, net = fitted(SceneRidge(3, 7, **RIDGE)), fitted(BlueEnd(3, 7, lift=0.1, ridge=RIDGE))
    sample = scene(9)
    with torch.no_grad():
        one, other = plain(sample["hr_msi"]), net(sample["hr_msi"])
    bright = slice(13, None)
    torch.testing.assert_close(other[..., bright], one[..., bright], rtol=0.05, atol=0.03)
    assert (other[:, 2:] - one[:, 2:]).abs().max() < 0.05


@pytest.mark.parametrize("exposure", [0.003, 0.1, 1.0])
def test_the_camera_sees_its_image(exposure: float) -> None:
    net = fitted(BlueEnd(3, 7, ridge=RIDGE))
    seen = scene(9)["hr_msi"] * exposure
    with torch.no_grad():
        again = torch.einsum("kc,bcyx->bkyx", net.every.response, net(seen))
    torch.testing.assert_close(again, seen, rtol=1e-3, atol=1e-4)


def test_the_response_is_that_of_the_true_image() -> None:
    """Of an estimated image with noise, in a composition too: the camera's in the end."""
    many = [torch.rand(1, 7, 24, 24, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    samples = [{"hr_hsi": hs, "hr_msi": torch.einsum("kc,bcyx->bkyx", RESPONSE, hs)} for hs in many]
    random = torch.Generator().manual_seed(9)
    noise = [0.05 * torch.randn(each["hr_msi"].shape, generator=random) for each in samples]
    noisy = [
        {**each, "hr_msi": each["hr_msi"] + error, "true_msi": each["hr_msi"]}
        for each, error in zip(samples, noise, strict=True)
    ]
    net = BlueEnd(3, 7, ridge=RIDGE)
    net.prepare_from(noisy, 0)
    torch.testing.assert_close(net.every.response, RESPONSE, atol=1e-4, rtol=0)
    torch.testing.assert_close(net.bright.inverse, torch.linalg.pinv(RESPONSE), atol=1e-3, rtol=0)
    whole = create_model("sr-ssr", scale=2, ms_bands=3, hs_bands=7, sr="bicubic", ssr="blue-end",
                         ssr_options={"ridge": RIDGE})  # fmt: skip
    whole.prepare_from([{**each, "lr_msi": each["hr_msi"][..., ::2, ::2]} for each in samples], 0)
    torch.testing.assert_close(whole.part("ssr").every.response, RESPONSE, atol=1e-4, rtol=0)


def test_known_means_are_lifted_too() -> None:
    """Those of a library of spectra, which come beside the pixels; of a sample without dark pixels all stays."""
    net, sample = BlueEnd(3, 7, ridge=RIDGE), scene(0)
    known = torch.cat([sample["hr_msi"], 0.5 * sample["hr_msi"]], 1)
    made = net._bright({**sample, "around": known})
    assert torch.equal(made["around"][:, :3], made["hr_msi"])
    assert torch.equal(made["around"][:, 3:], net._bright({**sample, "hr_msi": known[:, 3:]})["hr_msi"])
    assert made["around"].unflatten(1, (2, 3)).mean(2).min() > 0.0999
    bright = {name: image + 0.5 for name, image in sample.items()}
    assert all(torch.equal(image, bright[name]) for name, image in net._bright(bright).items())


def test_black_and_negative_pixels_stay_finite() -> None:
    net = fitted(BlueEnd(3, 7, ridge=RIDGE))
    seen = torch.tensor([0.0, -0.01, 1e-9, 5.0]).repeat(1, 3, 4, 1)
    with torch.no_grad():
        made = net(seen)
    assert torch.isfinite(made).all()
    assert made[..., :3].abs().max() < 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first": 0}, r"first=0 is out of range; it must be from 1 to 4, which is hs_bands - ms_bands"),
        ({"first": 5}, "first=5"),
        ({"lift": 0.0}, "lift=0.0 is out of range; it must be a number > 0"),
        ({"ridge": {"centres": 0}}, "centres=0"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        create_model("blue-end", ms_bands=3, hs_bands=7, **options)


def test_training_images_without_a_bright_pixel() -> None:
    sample = {name: image * 0.01 for name, image in scene(0).items()}
    with pytest.raises(InputError, match="needs training images"):
        BlueEnd(3, 7, ridge=RIDGE).prepare_from([sample], 0)
