"""Consistency that does no harm: weights by noise, bounded changes, and what real scenes gain by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from finewave.physics.inversion.damped_projection import (
    LARGEST_CHANGE,
    DampedProjection,
    laplacian,
    noise_of,
    wiener_weights,
)
from finewave.studies.measurements.consistency_gain import consistency_study
from finewave.zoo.model import load_model
from finewave.zoo.observation_model import projection_of


def test_noise_is_estimated_and_flat_details_are_not_noise() -> None:
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    scene = torch.stack([rows / 96, columns / 96, 0.5 * (columns > 40) + 0.3 * (rows > 50)])
    assert noise_of(scene) < 1e-6
    for size in (0.01, 0.05):
        noisy = scene + size * torch.randn(scene.shape, generator=torch.Generator().manual_seed(1))
        assert noise_of(noisy) == pytest.approx(size, rel=0.1)
    noisy[:, 3, 4] = torch.nan
    assert noise_of(noisy) == pytest.approx(0.05, rel=0.1)
    assert noise_of(torch.ones(3, 2, 2)) == 0


def test_weights_are_wieners() -> None:
    difference = torch.full((1, 3, 9, 9), 0.1)
    np.testing.assert_allclose(wiener_weights(difference, 0.0).numpy(), 1)
    np.testing.assert_allclose(wiener_weights(difference, 0.05).numpy(), 0.5, rtol=1e-5)  # 1 - 2 (0.05 / 0.1)²
    np.testing.assert_allclose(wiener_weights(difference, 0.1).numpy(), 0)


def test_without_noise_it_is_the_projection_within_its_bounds() -> None:
    model = load_model("jssunet-cave-x4", precision="float32")
    exact = projection_of(model)
    truth = 0.5 + 0.01 * torch.rand(1, 31, 32, 32)
    observed = {"lr_msi": exact.constraints[0].operator(truth)}
    start = truth + 0.01
    damped = DampedProjection(exact, {"lr_msi": 0.0})
    torch.testing.assert_close(damped(start, observed), exact(start, observed), atol=1e-6, rtol=1e-6)
    far = truth * torch.linspace(0.2, 3, 31)[:, None, None]
    result = damped(far, observed)
    assert ((result - far).abs() <= LARGEST_CHANGE * far * (1 + 1e-5)).all()
    twice = replace(exact, constraints=exact.constraints * 2)  # as in fusion, where there are two inputs
    result = DampedProjection(twice, {"lr_msi": 0.0})(far, observed)
    assert ((result - far).abs() <= LARGEST_CHANGE * far * (1 + 1e-5)).all()
    untouched = DampedProjection(exact, {"lr_msi": 10.0})(far, observed)
    torch.testing.assert_close(untouched, far)


def test_doubt_about_the_blur_is_the_change_that_another_blur_makes() -> None:
    """A Gaussian of a variance that is larger by V changes a wave by V / 2 times its Laplacian, to first order."""
    places = torch.arange(64.0, dtype=torch.float64)
    wave = torch.sin(2 * torch.pi * places / 16).expand(1, 2, 40, 64)
    frequency, variance = 2 * np.pi / 16, 0.05
    changed = wave * np.exp(-variance / 2 * frequency**2) - wave
    expected = variance / 2 * laplacian(wave)
    torch.testing.assert_close(expected[..., 2:-2], changed[..., 2:-2], rtol=0.02, atol=1e-6)
    # so such a difference is not corrected, one of twice the size by 3 / 4, and one where the image is flat in full
    inside = slice(8, -8)
    for times, weight in ((1, 0.0), (2, 0.75)):
        weights = wiener_weights(times * expected, 0.0, wave, variance)
        torch.testing.assert_close(weights[..., inside], torch.full_like(weights[..., inside], weight))
    assert (wiener_weights(torch.full_like(wave, 0.01), 0.0, torch.ones_like(wave), variance) == 1).all()


def test_values_stay_physical() -> None:
    model = load_model("sspsr-cave-x4", precision="float32")
    exact = projection_of(model)
    random = torch.Generator().manual_seed(3)
    observed = 0.05 + 0.9 * (torch.rand(1, 31, 9, 7, generator=random) > 0.5).float()
    start = torch.nn.functional.interpolate(observed, scale_factor=4, mode="bicubic")
    assert exact(start, {"lr_hsi": observed}).min() < start.min() < 0
    result = DampedProjection(exact, {"lr_hsi": 0.0}, {"lr_hsi": 0.1})(start, {"lr_hsi": observed})
    assert result.min() >= 0
    assert result.max() <= start.max()
    assert (result - start).abs().max() > 0.01
    # an input with negative values allows them, but only around them
    negative = observed.clone()
    negative[..., :3, :3] = -0.05
    start = torch.full_like(start, -0.2)
    result = DampedProjection(exact, {"lr_hsi": 10.0})(start, {"lr_hsi": negative})
    assert result[..., :12, :12].min() == pytest.approx(-0.05)
    assert result[..., 16:, :].min() == 0


def test_where_the_observation_is_met_nothing_changes() -> None:
    exact = projection_of(load_model("jssunet-cave-x4", precision="float32"))
    image = 0.2 + 0.6 * torch.rand(1, 31, 36, 28, generator=torch.Generator().manual_seed(4))
    observed = {"lr_msi": exact.constraints[0].operator(image)}
    for noise, doubt in ((0.0, 0.0), (0.01, 0.1)):
        result = DampedProjection(exact, {"lr_msi": noise}, {"lr_msi": doubt})(image, observed)
        torch.testing.assert_close(result, image, rtol=0, atol=1e-6)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["jssunet-cave-x4", "residual-sr-cave-x4", "sspsr-cave-x4", "sschsr-cave-x4"])
def test_right_and_wrong_blur_with_and_without_noise(real_images: Path, name: str) -> None:
    model = load_model(name, precision="float32")
    study = consistency_study(model, "cave", "val", widths=(4.0, 6.0), noise=0.01, crop=128)
    for case in study["cases"]:
        row, bound = case["rows"]["damped"], 0.0 if case["fwhm"] == 4 else 0.05
        assert row["psnr"] >= -bound - 1e-4, case["rows"]
        assert row["sam"] <= bound + 1e-4, case["rows"]
        assert row["least"] >= 0
        assert row["bumps"] < 1.2
