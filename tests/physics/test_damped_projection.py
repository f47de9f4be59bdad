"""Consistency that does no harm: weights by noise, bounded changes, and what real scenes gain by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from finewave.datasets.registry import open_scenes
from finewave.metrics import psnr, sam
from finewave.physics.damped_projection import LARGEST_CHANGE, DampedProjection, noise_of, wiener_weights
from finewave.physics.degradation import degrade
from finewave.zoo.model import load_model
from finewave.zoo.observation_model import projection_of

SCENES = ("balloons", "beads", "cloth", "fake_and_real_food", "jelly_beans", "pompoms")
SIDE = 128


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


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_right_and_wrong_blur_with_and_without_noise(real_images: Path) -> None:
    model = load_model("jssunet-cave-x4", precision="float32")
    exact = projection_of(model)
    source = open_scenes("cave", SCENES)
    changes: dict[str, list[tuple[float, float]]] = {}
    for name in SCENES:
        whole = source.read(name)
        start = (whole.shape[1] - SIDE) // 2
        part = whole[:, start : start + SIDE, start : start + SIDE].astype(np.float32) / source.full_scale(name)
        truth = torch.from_numpy(part)
        for case, fwhm, noise in (("right", 4.0, 0.0), ("noise", 4.0, 0.01), ("wrong", 6.0, 0.0), ("both", 6.0, 0.01)):
            low = degrade(truth, 4, sensor=model.card.sensor, wavelengths=source.wavelengths, fwhm=fwhm)
            low = (low + noise * torch.randn(low.shape, generator=torch.Generator().manual_seed(1))).clamp(min=0)
            plain = model.predict(lr_msi=low[None])
            result = DampedProjection(exact, {"lr_msi": noise_of(low)})(plain, {"lr_msi": low[None]})[0]
            gain = psnr(result, truth) - psnr(plain[0], truth)
            changes.setdefault(case, []).append((gain, sam(result, truth) - sam(plain[0], truth)))
    for case, each in changes.items():
        gain, angle = np.mean(each, 0)
        bound = 0.0 if case == "right" else 0.05
        assert gain >= -bound, case
        assert angle <= bound, case
