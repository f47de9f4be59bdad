from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import finewave as fw
from finewave.physics.anisotropic import anisotropic_gaussian, blur
from finewave.physics.random_degradation import NOISE_LEVELS, SAMPLINGS, SIZES, random_degradation

OPTIONS = {"kernel": "anisotropic-gaussian", "size": 21, "variances": (1.5, 6.0), "angle": 0.6}


@pytest.mark.parametrize("angle", [0.0, 0.7, math.pi / 2, 2.5])
def test_kernel_has_the_stated_moments(angle: float) -> None:
    shift = 1.5
    kernel = anisotropic_gaussian(81, (4.0, 9.0), angle, shift).numpy()
    p = np.arange(81) - 40
    y, x = np.meshgrid(p, p, indexing="ij")
    assert kernel.sum() == pytest.approx(1)
    assert (kernel * x).sum() == pytest.approx(shift)
    assert (kernel * y).sum() == pytest.approx(shift)
    dx, dy = x - shift, y - shift
    covariance = [[(kernel * a * b).sum() for b in (dx, dy)] for a in (dx, dy)]
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    np.testing.assert_allclose(covariance, turn @ np.diag([4.0, 9.0]) @ turn.T, atol=1e-6)


def test_blur_against_plain_loops() -> None:
    image = torch.rand(2, 5, 4, dtype=torch.float64)
    kernel = torch.rand(7, 7, dtype=torch.float64)
    padded = np.pad(image.numpy(), ((0, 0), (3, 3), (3, 3)), "symmetric")
    expected = np.zeros((2, 5, 4))
    for i in range(5):
        for j in range(4):
            expected[:, i, j] = (padded[:, i : i + 7, j : j + 7] * kernel.numpy()).sum((1, 2))
    np.testing.assert_allclose(blur(image, kernel).numpy(), expected)
    np.testing.assert_allclose(blur(image, kernel, stride=2).numpy(), expected[:, ::2, ::2])


@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_sampling_is_interpolation_at_the_centres(mode: str, scale: int) -> None:
    image = torch.rand(1, 2, 4 * scale, 3 * scale, dtype=torch.float64)
    blurred = blur(image, anisotropic_gaussian(21, (1.5, 6.0), 0.6))
    expected = F.interpolate(blurred, size=(4, 3), mode=mode, align_corners=False)
    torch.testing.assert_close(fw.degrade(image, scale, sampling=mode, **OPTIONS), expected)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lr_pixels_stand_at_their_centres(sampling: str, scale: int) -> None:
    """A ramp comes out as the ramp at (i + 1/2) s - 1/2 whatever the sampling; off by (s - 1) / 2 if not centred."""
    n = 24 * scale
    y, x = torch.meshgrid(torch.arange(n).double(), torch.arange(n).double(), indexing="ij")
    centres = (torch.arange(24).double() + 0.5) * scale - 0.5
    border = -(-18 // scale)
    inner = slice(border, -border)
    options = {**OPTIONS, "size": 31, "sampling": sampling}
    for image, expected in ((y, centres[:, None].expand(24, 24)), (x, centres.expand(24, 24))):
        got = fw.degrade(image[None, None], scale, **options)[0, 0]
        torch.testing.assert_close(got[inner, inner], expected[inner, inner], rtol=0, atol=1e-3)
        shifted = fw.degrade(image[None, None], scale, centred=False, **options)[0, 0]
        offset = 0 if sampling == "strided" else (scale - 1) / 2
        torch.testing.assert_close(shifted[inner, inner], expected[inner, inner] + offset, rtol=0, atol=1e-3)


def test_round_gaussian_is_the_separable_one() -> None:
    scale = 4
    image = torch.rand(1, 3, 40, 32, dtype=torch.float64)
    variance = (scale / math.sqrt(8 * math.log(2))) ** 2
    got = fw.degrade(
        image, scale, kernel="anisotropic-gaussian", size=25, variances=(variance, variance), sampling="strided"
    )
    torch.testing.assert_close(got, fw.degrade(image, scale), rtol=0, atol=2e-4)


def test_mixing_bands_and_degrading_commute() -> None:
    image, mix = torch.rand(2, 7, 24, 20, dtype=torch.float64), torch.rand(3, 7, dtype=torch.float64)

    def mixed(x: torch.Tensor) -> torch.Tensor:
        return torch.einsum("kc,bchw->bkhw", mix, x)

    torch.testing.assert_close(mixed(fw.degrade(image, 4, **OPTIONS)), fw.degrade(mixed(image), 4, **OPTIONS))


def test_clipping_comes_after_the_noise() -> None:
    image = torch.rand(1, 3, 32, 32)
    noisy = fw.degrade(image, 2, noise=0.5, seed=1)
    clipped = fw.degrade(image, 2, noise=0.5, seed=1, clip=True)
    assert noisy.min() < 0 < 1 < noisy.max()
    assert torch.equal(clipped, noisy.clamp(0, 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 12}, "size=12; an odd number"),
        ({"variances": (1.0, 0.0)}, "two positive numbers"),
        ({"variances": (1.0,)}, "two positive numbers"),
        ({"sampling": "stride"}, "did you mean 'strided'"),
        ({"kernel": "anisotropic-gausian"}, "did you mean 'anisotropic-gaussian'"),
    ],
)
def test_bad_options(options: dict, message: str) -> None:
    with pytest.raises(fw.InputError, match=message):
        fw.degrade(torch.rand(1, 3, 8, 8), 4, **{"kernel": "anisotropic-gaussian", **options})


def test_random_degradations_have_the_published_ranges() -> None:
    random = np.random.default_rng(0)
    draws = [random_degradation(random, 4) for _ in range(2000)]
    assert {d["size"] for d in draws} == set(SIZES)
    assert {d["sampling"] for d in draws} == set(SAMPLINGS)
    noises = [round(d["noise"] * 255, 6) for d in draws]
    assert set(noises) == {0, *NOISE_LEVELS}
    assert np.mean([n > 0 for n in noises]) == pytest.approx(0.8, abs=0.03)
    round_ones = [d["variances"][0] for d in draws if d["variances"][0] == d["variances"][1]]
    assert len(round_ones) / len(draws) == pytest.approx(0.5, abs=0.03)
    assert 0.04 <= min(round_ones) < 0.3 and 14 < max(round_ones) <= 16  # noqa: PT018 - standard deviations 0.2 to 4
    others = [v for d in draws for v in d["variances"] if d["variances"][0] != d["variances"][1]]
    assert 0.2 <= min(others) < 0.3 and 3.9 < max(others) <= 4  # noqa: PT018
    angles = [d["angle"] for d in draws if d["variances"][0] != d["variances"][1]]
    assert 0 <= min(angles) < 0.1 and 3.0 < max(angles) < math.pi  # noqa: PT018
    assert len({d["seed"] for d in draws}) > 1990


def test_random_degradations_are_options_of_degrade_and_reproducible() -> None:
    image = torch.rand(1, 3, 24, 24)
    first, second = ([random_degradation(np.random.default_rng(seed), 4) for seed in range(20)] for _ in range(2))
    assert first == second
    for options in first:
        lr = fw.degrade(image, 4, **options)
        assert lr.shape == (1, 3, 6, 6)
        assert lr.min() >= 0
        assert lr.max() <= 1
