"""Intervals: what they cover on scenes left out, and what they go by."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from finewave.calibration.intervals import (
    ErrorsWithSpots,
    HeldOutErrors,
    Intervals,
    UsualErrors,
    calibrated,
    coverage_by_others,
    coverage_of,
    factor_for,
    narrowed,
    ratios_left_out,
)
from finewave.calibration.residual_kriging import features_of
from finewave.errors import InputError


def scene(name: str, seed: int, size: float = 1.0) -> HeldOutErrors:
    """Return errors that are three times as large where the first feature is in the lower third."""
    random = np.random.default_rng(seed)
    features = random.random((3000, 3)) * [0.6, 0.05, 0.05]
    scale = size * np.where(features[:, 0] < 0.18, 0.3, 0.1)
    return HeldOutErrors(name, np.abs(random.normal(size=(3, 3000)) * scale).astype(np.float32), features)


SCENES = [scene(f"s{number}", number) for number in range(6)]


def test_what_is_usual_is_the_kernel_mean() -> None:
    usual = UsualErrors.of(SCENES)
    features = np.concatenate([each.features for each in SCENES])
    relative = np.concatenate([each.relative for each in SCENES], 1)
    weight = np.exp(-np.square(features - usual.centres[4]).sum(1) / (2 * 0.035**2))
    np.testing.assert_allclose(usual.errors[4], relative @ weight / weight.sum(), rtol=1e-4)
    asked = np.array([[0.05, 0.02, 0.02], [0.5, 0.02, 0.02], [9.0, 9.0, 9.0]])
    left, right, far = usual.at(asked).T
    assert (left > 1.5 * right).all()
    np.testing.assert_allclose(far, np.quantile(usual.errors, 0.95, axis=0), rtol=1e-6)


def test_scenes_alike_are_covered_as_often_as_stated() -> None:
    made = calibrated(SCENES, "made up")
    for share, covered in made.calibration["coverage"].items():
        assert np.mean(list(covered.values())) == pytest.approx(float(share) + (1 - float(share)) / 6, abs=0.002)
    fresh = scene("fresh", 99)
    inside = fresh.relative <= made.factor(0.9) * made.usual.at(fresh.features)
    assert inside.mean() == pytest.approx(0.917, abs=0.02)
    for part in (fresh.features[:, 0] < 0.12, fresh.features[:, 0] > 0.24):  # not too wide here and too narrow there
        assert inside[:, part].mean() == pytest.approx(0.917, abs=0.06)


def test_scenes_that_differ_widen_the_factor() -> None:
    differing = [scene(f"s{number}", number, size) for number, size in enumerate((0.5, 0.5, 1, 1, 2, 2))]
    assert factor_for(ratios_left_out(differing), 0.9) > 1.2 * factor_for(ratios_left_out(SCENES), 0.9)


def test_half_widths_follow_colour_brightness_spots_and_the_card() -> None:
    made = Intervals.from_card(calibrated(SCENES, "made up").to_card())
    image = torch.full((1, 3, 2, 2), 0.5)
    image[..., 0] = 0.1
    colours = image[0, :2]
    half = made.half_width(image, colours, 0.9)
    assert half.shape == image.shape
    for column, brightness in ((1, 0.5), (0, 0.1)):
        usual = made.usual.at(features_of(colours[:, :1, column : column + 1].double())[:, 0].T.numpy())
        expected = made.factor(0.9) * usual[:, 0] * (brightness + 0.02)
        np.testing.assert_allclose(half[0, :, 0, column].numpy(), expected, rtol=1e-5)
    left = torch.tensor([[1.0, 0.5], [0.0, 1.0]])
    narrower = made.half_width(image, colours, 0.9, left) / half
    assert torch.equal(narrower[0, 0] == 1, left == 1)
    assert narrower[0, 0, 1, 0] < narrower[0, 0, 0, 1] < 1


def test_too_few_scenes_other_shares_and_older_cards_are_refused() -> None:
    with pytest.raises(InputError, match="2 scenes were given"):
        calibrated(SCENES[:2], "made up")
    with pytest.raises(InputError, match=r"half-widths for 0\.5, 0\.8, 0\.9, 0\.95"):
        calibrated(SCENES, "made up").factor(0.7)
    with pytest.raises(InputError, match="another version of finewave"):
        Intervals.from_card({"half_widths": {}, "brightness_edges": []})


def with_spots(of: HeldOutErrors, seed: int, kept: float) -> HeldOutErrors:
    """Return a scene whose errors spots make ``kept`` times as large where they leave none of the variance."""
    left = np.random.default_rng(seed).random(of.relative.shape[1])
    corrected = (of.relative * kept ** (1 - left)).astype(np.float32)
    return HeldOutErrors(of.name, of.relative, of.features, ErrorsWithSpots(corrected, of.features, left))


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
def test_half_widths_shrink_with_spots_by_as_much_as_errors_do(kept: float) -> None:
    """However much of the errors spots take, the half-widths cover the stated share of the rest."""
    scenes = [with_spots(each, number, kept) for number, each in enumerate(SCENES)]
    made = Intervals.from_card(calibrated(scenes, "made up").to_card())
    fresh = with_spots(scene("fresh", 99), 98, kept)
    spots = fresh.with_spots
    assert spots is not None
    for share in (0.5, 0.9):
        widths = made.factor(share) * made.usual.at(spots.features) * narrowed(spots.left, made.narrowing[f"{share:g}"])
        inside = spots.relative <= widths
        assert inside.mean() == pytest.approx(share + (1 - share) / 6, abs=0.03)
    found = coverage_by_others(scenes, 0.9)
    assert np.mean([each["with_spots"] for each in found.values()]) == pytest.approx(0.9 + 0.1 / 5, abs=0.01)
    assert np.mean([each["width"] for each in found.values()]) < 1


def test_a_judged_scene_has_no_part_in_what_it_is_judged_by() -> None:
    """Each is covered as half-widths cover it that were calibrated, by themselves, on the others."""
    scenes = [with_spots(scene(f"s{number}", number, 1 + number / 4), number, 0.5) for number in range(5)]
    found = coverage_by_others(scenes, 0.9)
    for judged in scenes:
        made = calibrated([each for each in scenes if each is not judged], "the others")
        usual = made.usual.at(judged.features)
        factor = factor_for(ratios_left_out([each for each in scenes if each is not judged]), 0.9)
        assert found[judged.name]["plain"] == pytest.approx((judged.relative <= factor * usual).mean(), abs=1e-6)
        assert found[judged.name] == pytest.approx(coverage_of(made, [judged], 0.9)[judged.name], abs=2e-3)


def test_spots_that_take_nothing_from_the_errors_leave_half_widths_as_they_are() -> None:
    scenes = [with_spots(each, number, 1.0) for number, each in enumerate(SCENES)]
    made = calibrated(scenes, "made up")
    left = np.linspace(0, 1, 21)
    for share in (0.5, 0.9):
        np.testing.assert_allclose(narrowed(left, made.narrowing_of(share)), 1, atol=0.03)


def test_groups_of_scenes_are_left_out_together() -> None:
    plain = [each.plain for each in ratios_left_out(SCENES, 2)]
    usual = UsualErrors.of(SCENES[1::2])
    np.testing.assert_array_equal(plain[2], np.sort((SCENES[2].relative / usual.at(SCENES[2].features)).ravel()))


def test_spots_never_widen_and_where_they_leave_all_nothing_changes() -> None:
    left = np.array([0.0, 0.3, 0.9, 1.0])
    for narrowing in (0.3, 1.0, 4.0):
        found = narrowed(left, narrowing)
        assert (found <= 1).all()
        assert found[-1] == 1
    np.testing.assert_allclose(narrowed(left, 0.5), np.sqrt(0.3 + 0.7 * left) * 0.5 ** (1 - left))


def test_a_card_of_before_spots_were_calibrated_is_still_read() -> None:
    stored = calibrated(SCENES, "made up").to_card()
    assert "narrowing" not in stored
    assert Intervals.from_card(stored).narrowing == {}
