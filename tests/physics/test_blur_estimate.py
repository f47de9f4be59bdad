"""The width of a blur, estimated from the image alone."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from finewave.datasets.registry import known_split, open_scenes
from finewave.physics.blur_estimate import USUAL_ERROR, Curvatures, equivalent_fwhm, variance_of
from finewave.physics.degradation import degrade
from finewave.physics.inversion.damped_projection import noise_of
from finewave.physics.observation import Observation
from finewave.physics.sensors import apply_response, get_sensor

STEPS = 4000


def steps(seed: int = 0) -> torch.Tensor:
    """Return a scene (1, 16, 16384) of sharp steps at random places: the one for which the estimate is exact."""
    random = np.random.default_rng(seed)
    heights = np.zeros((16, 16384))
    for row in heights:
        row[random.choice(len(row), STEPS // 8, replace=False)] = random.standard_normal(STEPS // 8)
    return torch.from_numpy(np.cumsum(heights, 1))[None]


def along_rows(image: torch.Tensor) -> Curvatures:
    found = Curvatures()
    for row in image[0]:
        found.add(row[None, None])  # one row high: no differences between rows
    return found


@pytest.mark.parametrize("fwhm", [3.0, 4.0, 6.0, 8.0])
def test_steps_tell_their_blur(fwhm: float) -> None:
    observed = degrade(steps(), 4, fwhm=fwhm)
    assert along_rows(observed).fwhm(0.0) == pytest.approx(fwhm / 4, rel=0.1)


def test_noise_is_taken_out_and_too_much_of_it_tells_nothing() -> None:
    observed = degrade(steps(), 4, fwhm=4.0)
    observed = observed + 0.08 * torch.randn(observed.shape, generator=torch.Generator().manual_seed(1))
    clean, raw = along_rows(observed).fwhm(0.08), along_rows(observed).fwhm(0.0)
    assert clean == pytest.approx(1.0, rel=0.15)
    assert raw is not None
    assert clean is not None
    assert raw < 0.8 * clean
    assert along_rows(observed).fwhm(3.0) is None


def test_what_cannot_be_told() -> None:
    flat, empty, small = Curvatures(), Curvatures(), Curvatures()
    flat.add(torch.ones(3, 99, 99))
    small.add(torch.rand(3, 90, 90, generator=torch.Generator().manual_seed(2)))
    assert flat.fwhm(0.0) is None
    assert empty.fwhm(0.0) is None
    assert small.fwhm(0.0) is None


def test_missing_pixels_are_left_out() -> None:
    image = torch.rand(2, 20, 31, generator=torch.Generator().manual_seed(2))
    holes = image.clone()
    holes[:, 4, 5] = torch.nan
    whole, without = Curvatures(), Curvatures()
    whole.add(image)
    without.add(holes)
    assert whole.fine_count == 2 * (18 * 31 + 20 * 29)
    assert whole.fine_count - without.fine_count == 2 * 6  # three second differences along each axis
    assert math.isfinite(without.fine)


@pytest.mark.parametrize("fwhm", [3.0, 4.0, 5.5, 7.0])
def test_a_gaussian_is_its_own_equivalent(fwhm: float) -> None:
    observation = Observation(4, {"kernel": "gaussian", "fwhm": fwhm}, "test")
    assert equivalent_fwhm(observation, "test") == pytest.approx(fwhm / 4, rel=0.03)


def test_kernels_are_ordered_by_their_blur() -> None:
    kernels = ("bilinear-no-antialias", "bicubic", "gaussian")
    widths = [equivalent_fwhm(Observation(4, {"kernel": kernel}, "test"), "test") for kernel in kernels]
    assert widths == sorted(widths)
    assert widths[1] < 0.95 * widths[2]


def test_variance_of_a_width() -> None:
    assert variance_of(2 * math.sqrt(2 * math.log(2))) == pytest.approx(1)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_estimates_of_real_scenes_are_as_precise_as_is_said(
    real_images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The usual error, of the scenes of all other folds, holds for each fold of the training scenes."""
    names = sorted(known_split("cave")["train"])
    source = open_scenes("cave", names)
    response = get_sensor("nikon-d5100").response(source.wavelengths)
    ratios: dict[float, list[float]] = {fwhm: [] for fwhm in (3.0, 4.0, 5.0, 6.0)}
    for name in names:
        scene = torch.from_numpy(source.read(name).astype(np.float32) / source.full_scale(name))
        seen = apply_response(response, scene[None])
        for fwhm, found in ratios.items():
            low, curvatures = degrade(seen, 4, fwhm=fwhm)[0], Curvatures()
            curvatures.add(low)
            found.append(4 * (curvatures.fwhm(noise_of(low)) or math.nan) / fwhm)
    medians = {fwhm: float(fwhm * np.median(found)) for fwhm, found in ratios.items()}
    right = np.array(ratios[4.0])
    folds = np.arange(len(right)) % 4
    spreads = [float(np.std(right[folds != fold], ddof=1)) for fold in range(4)]
    within = [float((np.abs(right[folds == fold] - 1) <= 2 * USUAL_ERROR).mean()) for fold in range(4)]
    wide = float((np.array(ratios[6.0]) * 1.5 > 1 + 2 * USUAL_ERROR).mean())
    with capsys.disabled():
        print(f"\nmedians {medians}, at 4 a tenth below and above {4 * np.quantile(right, [0.1, 0.9])}")
        print(f"spread without each fold {spreads}, within twice the usual error {within}; 6 told {wide:.0%}")
    assert all(median == pytest.approx(fwhm, rel=0.1) for fwhm, median in medians.items())
    assert all(spread == pytest.approx(USUAL_ERROR, abs=0.07) for spread in spreads)
    assert np.mean(within) >= 0.9
    assert wide >= 0.6
