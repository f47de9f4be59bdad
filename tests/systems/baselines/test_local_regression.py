"""Local regression against a plain formulation, one pixel at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from finewave.nn.kernels import strips
from finewave.nn.sampling import bicubic
from finewave.physics.degradation import degrade
from finewave.systems.base import SRNetwork
from finewave.systems.baselines import gaussian_windows, white_noise
from finewave.systems.baselines.local_regression import ITERATIONS, LocalRegression, regressed, with_roots
from finewave.systems.registry import create_model


def pair(bands: int, height: int, width: int, scale: int, seed: int = 0, **blur: Any) -> tuple[Tensor, Tensor, Tensor]:
    """LR-HSI, HR-MSI of two bands and HR-HSI of random smooth images with edges."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, bands, height, width, generator=generator, dtype=torch.float64)
    hsi = bicubic(coarse, (height * scale, width * scale)) + 0.2
    hsi = torch.where(hsi > 0.8, hsi + 0.3, hsi)
    response = torch.rand(2, bands, generator=generator, dtype=torch.float64)
    return degrade(hsi, scale, **blur), torch.einsum("ck,bkhw->bchw", response, hsi), hsi


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


def test_maps_are_weighted_ridge_regressions() -> None:
    """Each LR pixel again by a least-squares problem with weighted rows, one window after the other."""
    scale, windows, ridges = 2, (1.5, 0.7), (1e-3, 1e-2)
    h, x, _ = pair(4, 7, 9, scale)
    low = degrade(x, scale)
    left = h[0].permute(1, 2, 0).numpy().copy()
    m = low[0].permute(1, 2, 0).numpy()
    rows, columns = np.mgrid[:7, :9]
    slopes, constants = np.zeros((7, 9, 2, 4)), np.zeros((7, 9, 4))
    for window, ridge in zip(windows, ridges, strict=True):
        radius = int(np.ceil(3 * window))
        found = np.zeros((7, 9, 3, 4))
        for i, j in np.ndindex(7, 9):
            near = (abs(rows - i) <= radius) & (abs(columns - j) <= radius)
            distance = (rows[near] - i) ** 2 + (columns[near] - j) ** 2
            w = np.exp(-0.5 * distance / window**2)
            w /= w.sum()
            design = np.column_stack([m[near], np.ones(len(w))])
            penalty = ridge * ((w[:, None] * m[near] ** 2).sum() / 2 + 1e-6)
            system = np.vstack([np.sqrt(w)[:, None] * design, np.sqrt(penalty) * np.eye(2, 3)])
            target = np.vstack([np.sqrt(w)[:, None] * left[near], np.zeros((2, 4))])
            found[i, j] = np.linalg.lstsq(system, target, rcond=None)[0]
        left -= np.einsum("ijc,ijck->ijk", m, found[:, :, :2]) + found[:, :, 2]
        slopes, constants = slopes + found[:, :, :2], constants + found[:, :, 2]
    size = (14, 18)
    expected = bicubic(torch.from_numpy(constants).permute(2, 0, 1)[None], size)
    for band in range(2):
        up = bicubic(torch.from_numpy(slopes[:, :, band]).permute(2, 0, 1)[None], size)
        expected = expected + up * x[:, band : band + 1]
    torch.testing.assert_close(regressed(h, x, low, windows, ridges), expected, rtol=1e-6, atol=5e-8)


@pytest.mark.parametrize(("window", "size"), [(1.2, (6, 5)), (8.0, (9, 30))])
def test_smoothing_is_a_convolution_without_a_border(window: float, size: tuple[int, int]) -> None:
    """Of more images than are done at once; a window may be larger than the image."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3 * gaussian_windows.AT_ONCE + 1, *size, generator=generator, dtype=torch.float64)
    reach = math.ceil(3 * window)
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float64) / window) ** 2)
    kernel = torch.outer(taps, taps)[None, None]
    expected = F.conv2d(images.flatten(0, 1)[:, None], kernel, padding=reach).view_as(images)
    torch.testing.assert_close(gaussian_windows.smooth(images, window), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_the_result_gives_both_images_back(scale: int) -> None:
    """D H = h by the correction, and R H = x since the maps between h and m contain R h = m."""
    h, x, hsi = pair(6, 9, 12, scale, seed=scale)
    result = LocalRegression(scale, 2, 6, windows=(8.0, 2.0), ridge=(1e-9, 1e-9))(h, x)
    assert relative(degrade(result, scale), h) < 1e-5
    solution = np.linalg.lstsq(h[0].flatten(1).T.numpy(), degrade(x, scale)[0].flatten(1).T.numpy(), rcond=None)[0]
    seen = torch.einsum("kc,bkhw->bchw", torch.from_numpy(solution), result)
    assert relative(seen, x) < 1e-3
    assert relative(result, hsi) < 0.9 * relative(bicubic(h, (x.shape[2], x.shape[3])), hsi)


def test_other_maps_in_other_places() -> None:
    """Two halves whose HS bands are other affine maps of the MS bands: where one map for all cannot be right."""
    generator = torch.Generator().manual_seed(1)
    x = bicubic(torch.rand(1, 2, 12, 24, generator=generator, dtype=torch.float64), (48, 96)) + 0.1
    maps = torch.rand(2, 5, 2, generator=generator, dtype=torch.float64)
    halves = [torch.einsum("kc,bchw->bkhw", each, x) for each in maps]
    hsi = torch.cat([halves[0][..., :48], halves[1][..., 48:]], 3)
    h = degrade(hsi, 4)
    away = (..., slice(None), [*range(32), *range(64, 96)])
    error = {
        name: relative(create_model(name, ms_bands=2, hs_bands=5)(h, x)[away], hsi[away])
        for name in ("gsa", "local-regression")
    }
    assert error["local-regression"] < 0.2 * error["gsa"]


def test_a_blur_without_a_pseudo_inverse_is_iterated() -> None:
    blur = {"kernel": "anisotropic-gaussian", "size": 7, "variances": [2.0, 0.5], "angle": 0.6}
    h, x, _ = pair(3, 10, 10, 2, **blur)
    net = LocalRegression(2, 2, 3, degradation=blur)
    assert net.receptive_field == 39 + 2 + net.observation.reach + ITERATIONS * (2 + net.observation.reach)
    known = with_roots(x)
    torch.testing.assert_close(known, torch.cat([x, (x[:, :1] * x[:, 1:]).sqrt()], 1))
    plain = regressed(h, known, net.observation(known), net.windows, net.ridge)
    before, after = (relative(degrade(image, 2, **blur), h) for image in (plain, net(h, x)))
    assert after < 0.3 * before


@pytest.mark.parametrize("scale", [2, 4])
def test_nothing_acts_from_farther_than_it_says(scale: int) -> None:
    """The maps at a pixel see windows of the degraded MSI, which sees a little farther than the windows."""
    net = LocalRegression(scale, 2, 2, windows=(0.3,), ridge=(1e-3,), degradation={"kernel": "bicubic"})
    width = 2 * net.receptive_field + 6
    h, x, _ = pair(2, 3, width, scale, kernel="bicubic")
    x.requires_grad_()
    middle = width // 2
    (slope,) = torch.autograd.grad(net(h, x)[0, 0, scale, middle * scale], x)
    columns = (slope.abs().sum((0, 1, 2)) > 0).nonzero()[:, 0] // scale
    assert (columns - middle).abs().max() <= net.receptive_field


def test_memory_grows_with_bands_and_with_pixels_of_the_input() -> None:
    """No less than was measured: 3,379 bytes for 3 and 31 bands at x2, 3,280 for 4 and 100 at x4."""
    for options, measured in (({"scale": 2}, 3379), ({"scale": 4, "ms_bands": 4, "hs_bands": 100}, 3280)):
        for name in ("local-regression", "residual-fusion"):
            assert measured <= create_model(name, **options).working_memory < 1.5 * measured
    assert create_model("local-regression", scale=8).working_memory == SRNetwork.working_memory


def test_flat_and_black_surroundings_are_no_division_by_zero() -> None:
    h, x = torch.zeros(1, 5, 6, 7), torch.zeros(1, 3, 24, 28)
    h[..., :3], x[..., :12] = 0.5, 0.4
    result = LocalRegression(4, 3, 5)(h, x)
    assert result.isfinite().all()
    torch.testing.assert_close(result[..., :2], torch.full((1, 5, 24, 2), 0.5), rtol=0, atol=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"windows": []}, r"windows=\[\] is out of range; it must be one or more numbers > 0"),
        ({"windows": [1.0, 0.0]}, r"windows=\[1.0, 0.0\]"),
        ({"windows": [2.0], "ridge": [1e-3, 1e-3]}, "ridge=.* it must be 1 numbers > 0, one for each window"),
        ({"ridge": [1e-6, 0.0, 1e-3, 1e-3]}, "ridge="),
        ({"hs_bands": 0}, "hs_bands=0"),
        ({"scale": 1}, "scale=1"),
        ({"noise": "white"}, "unknown noise of local-regression 'white'"),
        ({"degradation": {"kernle": "gaussian"}}, "did you mean 'kernel'"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create_model("local-regression", **options)


def noisy(image: Tensor, deviation: float, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return image + deviation * torch.randn(image.shape, generator=generator, dtype=image.dtype)


def smooth_pair(scale: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """As `pair`, but smooth over the bands, as spectra are, with flat places and edges."""
    rows, columns = torch.meshgrid(torch.arange(36.0 * scale), torch.arange(40.0 * scale), indexing="ij")
    share = ((rows / scale - 15) ** 2 + (columns / scale - 18) ** 2 < 90).double()
    light = 0.3 + 0.2 * torch.sin(columns.double() / (9 * scale))
    bands = torch.linspace(0, 1, 12, dtype=torch.float64)
    spectra = torch.stack([0.3 + 0.5 * bands, 0.9 - 0.6 * bands**2])
    hsi = (light * share * spectra[0][:, None, None] + light * (1 - share) * spectra[1][:, None, None])[None]
    response = torch.exp(-0.5 * ((bands - torch.tensor([[0.15], [0.5], [0.85]])) / 0.12) ** 2)
    return degrade(hsi, scale), torch.einsum("ck,bkhw->bchw", response / response.sum(1, keepdim=True), hsi), hsi


def test_noise_is_estimated_where_there_is_some_and_nearly_none_elsewhere() -> None:
    h, x, _ = smooth_pair()
    for image, estimate in (
        (h, white_noise.noise_of_spectra),
        (x, lambda each: white_noise.noise_of_bands(each, 4)),
        (x[:, :1], lambda each: white_noise.noise_of_bands(each, 4)),
        (h[:, :2], white_noise.noise_of_spectra),
    ):
        clean, with_noise = estimate(image).sqrt(), estimate(noisy(image, 0.02, 1)).sqrt()
        assert clean.shape == (1, 1, 36, 40)
        assert clean.median() < 0.002
        assert with_noise.median() == pytest.approx(0.02, rel=0.5)  # the calmest place is calm by chance, too


def test_the_filter_takes_noise_out_of_flat_places_and_leaves_what_has_none() -> None:
    _, x, _ = smooth_pair()
    image = noisy(x, 0.02, 2)
    filtered = white_noise.wiener(image, torch.full((1, 1, 36, 40), 4e-4, dtype=torch.float64), 4)
    assert (filtered - x).square().mean() < 0.15 * 4e-4
    torch.testing.assert_close(white_noise.wiener(x, torch.zeros(1, 1, 36, 40, dtype=torch.float64), 4), x)


def test_the_filter_is_the_same_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    image = noisy(smooth_pair()[1], 0.02, 2)
    variance = torch.full((1, 1, 36, 40), 4e-4, dtype=torch.float64)
    variance[:, :, 20:] *= 3
    whole = white_noise.wiener(image, variance, 4)
    pixels = image[0, 0].numel()
    monkeypatch.setattr(strips, "STRIP_BYTES", white_noise.FILTER_BYTES * pixels * image.shape[1] ** 2 // 3)
    monkeypatch.setattr(strips, "LEAST_REACHES", 1)
    with torch.no_grad():
        torch.testing.assert_close(white_noise.wiener(image, variance, 4), whole)


def test_estimated_noise_is_kept_out_and_clean_images_are_left_alone() -> None:
    h, x, hsi = smooth_pair()
    aware, plain = (LocalRegression(4, 3, 12, noise=each) for each in ("estimated", "ignored"))
    a, b = noisy(h, 0.02, 3), noisy(x, 0.02, 4)
    assert relative(aware(a, b), hsi) < 0.5 * relative(plain(a, b), hsi)
    assert relative(aware(h, x), plain(h, x)) < 1e-2 * relative(plain(a, b), hsi)


def test_estimated_noise_reaches_no_farther_than_it_says() -> None:
    net = LocalRegression(2, 2, 3, windows=(0.3,), ridge=(1e-3,), degradation={"kernel": "bicubic"}, noise="estimated")
    width = 2 * net.receptive_field + 6
    h, x, _ = pair(3, 3, width, 2, kernel="bicubic")
    h, x = noisy(h, 0.1, 5).requires_grad_(), noisy(x, 0.1, 6).requires_grad_()
    middle = width // 2
    for image, slope in zip((1, 2), torch.autograd.grad(net(h, x)[0, 0, 2, middle * 2], (h, x)), strict=True):
        columns = (slope.abs().sum((0, 1, 2)) > 0).nonzero()[:, 0] // image
        assert (columns - middle).abs().max() <= net.receptive_field
