"""Intervals: what they cover on scenes left out, and what the classes do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from finewave.calibration.intervals import HeldOutErrors, Intervals, calibrated, coverage_left_out, distance_from
from finewave.errors import InputError

CENTRES, SPREAD = [[1.0, 1.0], [2.0, 2.0]], [0.3, 0.3]


def scene(name: str, seed: int, size: float = 1.0) -> HeldOutErrors:
    """Return errors that are larger in the dark and far from what was learned."""
    random = np.random.default_rng(seed)
    brightness, distance = random.random(4000), random.random(4000)
    scale = size * (0.05 + 0.3 * (brightness < 0.2) + 0.2 * distance)
    return HeldOutErrors(name, np.abs(random.normal(size=(3, 4000)) * scale).astype(np.float32), brightness, distance)


SCENES = [scene(f"s{number}", number) for number in range(6)]


def test_scenes_alike_are_covered_as_often_as_stated() -> None:
    made = calibrated(SCENES, CENTRES, SPREAD, "made up")
    for share, covered in made.calibration["coverage"].items():
        wanted = float(share) + (1 - float(share)) / 6
        assert np.mean(list(covered.values())) == pytest.approx(wanted, abs=0.015)
    fresh = scene("fresh", 99)
    classes = made._classes(fresh.brightness, fresh.distance)
    inside = fresh.relative <= made.table(0.9)[:, classes]
    assert inside.mean() == pytest.approx(0.917, abs=0.02)
    for own in range(15):  # not too wide in one class and too narrow in another
        assert inside[:, classes == own].mean() == pytest.approx(0.917, abs=0.06)


def test_scenes_that_differ_widen_the_quantile() -> None:
    differing = [scene(f"s{number}", number, size) for number, size in enumerate((0.5, 0.5, 1, 1, 2, 2))]
    assert coverage_left_out(differing, 0.9).min() < 0.75
    made = calibrated(differing, CENTRES, SPREAD, "made up")
    covered = list(made.calibration["coverage"]["0.9"].values())
    assert np.mean(covered) >= 0.915


def test_half_widths_follow_brightness_and_spots_and_the_card() -> None:
    made = Intervals.from_card(calibrated(SCENES, CENTRES, SPREAD, "made up").to_card())
    image = torch.full((1, 3, 2, 2), 0.5)
    image[..., 0] = 0.1
    colours = image[0, :2]
    half = made.half_width(image, colours, 0.9)
    assert half.shape == image.shape
    table, distance = made.table(0.9), distance_from(CENTRES, SPREAD, np.array([[0.5, 0.5], [0.1, 0.1]]))
    for column, brightness, far in ((1, 0.5, distance[0]), (0, 0.1, distance[1])):
        own = made._classes(np.array([brightness]), np.array([far]))
        expected = table[:, own[0]] * (brightness + 0.02)
        np.testing.assert_allclose(half[0, :, 0, column].numpy(), expected, rtol=1e-5)
    left = torch.tensor([[1.0, 0.5], [0.0, 1.0]])
    narrower = made.half_width(image, colours, 0.9, left) / half
    assert torch.equal(narrower[0, 0] == 1, left == 1)
    assert narrower[0, 0, 1, 0] < narrower[0, 0, 0, 1] < 1


def test_distance_is_that_of_the_nearest_centre_in_roots() -> None:
    pixel = np.array([[0.35, 0.08]])
    roots = np.sqrt(pixel + 0.01) / 0.3
    expected = min(np.linalg.norm(roots - np.array(centre)) for centre in CENTRES)
    np.testing.assert_allclose(distance_from(CENTRES, SPREAD, pixel), expected)


def test_too_few_scenes_and_other_shares_are_refused() -> None:
    with pytest.raises(InputError, match="2 scenes were given"):
        calibrated(SCENES[:2], CENTRES, SPREAD, "made up")
    with pytest.raises(InputError, match=r"half-widths for 0\.5, 0\.8, 0\.9, 0\.95"):
        calibrated(SCENES, CENTRES, SPREAD, "made up").table(0.7)
