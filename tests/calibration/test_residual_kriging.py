"""Kriging of relative errors against plain formulations."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.distance import cdist

from finewave.calibration.anchor_correction import as_bright_as, fit_correction, gain_of
from finewave.calibration.residual_kriging import (
    LOG_WEIGHT,
    ErrorModel,
    ResidualKriging,
    features_of,
    fewness_of,
)
from finewave.calibration.spot_choice import choose_places

COLOUR = np.array([[0.5, 0.5, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0.5, 0.5]])


def test_it_is_the_posterior_mean_of_a_gaussian_process() -> None:
    random = np.random.default_rng(1)
    features, places, errors = random.random((5, 4)) / 5, random.random((5, 2)), random.normal(size=(5, 3))
    model = ErrorModel(length=0.1, noise=0.3, shared=0.7, reach=0.4, brightness=0.5, trust=1e12)
    scale = [1, 1, 1, 0.5]
    kriging = ResidualKriging.fit(features, places, errors, start=model, estimate=False)
    asked, there = random.random((7, 4)) / 5, random.random((7, 2))

    alike = np.exp(-((cdist(features * [1, 1, 1, 0.75], features * [1, 1, 1, 0.75]) / 0.05) ** 2) / 2)
    fewness = max((5**2 / (alike**2).sum()) ** -2, 5**-1.75)

    def covariance(a: np.ndarray, b: np.ndarray, p: np.ndarray, q: np.ndarray) -> np.ndarray:
        shared = 0.7 / (1 + model.few * fewness)
        power = 1 + model.few_power * fewness
        near = (1 + (cdist(p, q) / 0.4) ** 2 / (2 * power)) ** -power
        colour = (1 + (cdist(a * scale, b * scale) / 0.1) ** 2 / (2 * power)) ** -power
        return colour * (shared + (1 - shared) * near)

    own = covariance(features, features, places, places) + kriging.model.noise * np.eye(5)
    cross = covariance(asked, features, there, places)
    mean, left = kriging(torch.from_numpy(asked), torch.from_numpy(there))
    np.testing.assert_allclose(mean.T.numpy(), cross @ np.linalg.inv(own) @ errors, rtol=1e-8)
    np.testing.assert_allclose(left.numpy(), 1 - np.einsum("ij,jk,ik->i", cross, np.linalg.inv(own), cross), rtol=1e-8)


def test_a_band_that_a_spectrum_does_not_reach_is_of_the_other_spots() -> None:
    random = np.random.default_rng(2)
    features, places, errors = random.random((4, 4)) / 5, random.random((4, 2)), random.normal(size=(4, 2))
    errors[1, 1] = np.nan
    kriging = ResidualKriging.fit(features, places, errors, start=ErrorModel(trust=1e9), estimate=False)
    others = [0, 2, 3]
    model = kriging.model
    covariance = model.covariance(features[others], features[others], places[others], places[others])
    expected = np.linalg.solve(covariance + model.noise * np.eye(3), errors[others, 1])
    np.testing.assert_allclose(kriging.weights[others, 1], expected)
    assert kriging.weights[1, 1] == 0


def test_spots_of_one_colour_count_as_one() -> None:
    grey, red = np.array([1 / 3, 1 / 3, 1 / 3, 0]), np.array([0.7, 0.2, 0.1, 0])
    assert fewness_of(grey[None]) == 1
    np.testing.assert_allclose(fewness_of(np.stack([grey] * 5)), 1)
    np.testing.assert_allclose(fewness_of(np.stack([grey] * 7 + [red])), (64 / 50) ** -2, rtol=1e-6)
    np.testing.assert_allclose(fewness_of(np.eye(4)[[0, 1, 2]]), 3**-1.75, rtol=1e-6)


def test_spots_that_are_wrong_about_each_other_correct_less() -> None:
    """Left out in turn, by solving again without each: what agrees counts in full, what contradicts not at all."""
    random = np.random.default_rng(4)
    features, places = 0.3 + random.random((6, 4)) / 50, random.random((6, 2)) / 50
    alike = np.tile(random.normal(size=(1, 3)), (6, 1))
    contradicting = alike * np.array([1, -1, 1, -1, 1, -1])[:, None]
    model = ErrorModel(trust=0.3)
    for errors in (alike, contradicting, alike + 1.5 * random.normal(size=(6, 3))):
        kriging = ResidualKriging.fit(features, places, errors, start=model, estimate=False)
        used = kriging.model
        own = used.covariance(features, features, places, places) + used.noise * np.eye(6)
        agreeing = said = 0.0
        for i in range(6):
            others = [j for j in range(6) if j != i]
            weights = np.linalg.solve(own[np.ix_(others, others)], own[others, i])
            variance = own[i, i] - own[i, others] @ weights
            expected = weights @ errors[others]
            agreeing += (errors[i] * expected).sum() / variance
            said += (expected**2).sum() / variance
        scale = (errors**2).sum() / 6
        share = np.clip((agreeing / scale + 0.3) / (said / scale + 0.3), 0, 1)
        np.testing.assert_allclose(kriging.weights, share * np.linalg.solve(own, errors), rtol=1e-6, atol=1e-12)
        if errors is alike:
            assert share == 1
        if errors is contradicting:
            assert share < 0.5


def test_features_do_not_change_with_exposure_but_for_brightness() -> None:
    image = torch.rand(3, 4, 5, dtype=torch.float64) + 0.1
    dark = features_of(image / 2)
    torch.testing.assert_close(features_of(image)[:3], dark[:3])
    torch.testing.assert_close(
        features_of(image)[3] - dark[3], torch.full((4, 5), LOG_WEIGHT * np.log(2), dtype=torch.float64)
    )


def scene_of_two_materials() -> tuple[torch.Tensor, torch.Tensor]:
    """Return a truth of two materials, and a prediction that is wrong by a factor of its own in each."""
    shade = torch.linspace(0.5, 1, 32).repeat(32, 1)
    left = torch.arange(32).repeat(32, 1) < 16
    materials = torch.tensor([[0.1, 0.2, 0.6, 0.5], [0.6, 0.5, 0.2, 0.1]])
    wrong = torch.tensor([[1.2, 0.9, 1.1, 0.8], [0.8, 1.1, 0.9, 1.2]])
    truth = torch.where(left, materials[0][:, None, None], materials[1][:, None, None]) * shade
    factor = torch.where(left, wrong[0][:, None, None], wrong[1][:, None, None])
    return truth, truth * factor


def test_spots_correct_what_is_of_their_colour_and_hardly_anything_else() -> None:
    truth, predicted = scene_of_two_materials()
    at = np.array([[10.5, 8.5]])
    spot = [each[:, 10, 8].double().numpy()[None] for each in (truth, predicted)]
    corrected = fit_correction(*spot, COLOUR, at, 32)(predicted[None])[0]
    before, after = ((each - truth).square().mean((0, 1)) for each in (predicted, corrected))
    assert after[:16].mean() < 0.75 * before[:16].mean()
    np.testing.assert_allclose(after[16:], before[16:], rtol=0.02)


def test_dark_pixels_trust_a_spot_further_than_bright_ones_of_its_colour() -> None:
    """Of 64 times its brightness a spot says little; of a sixty-fourth it says most of its relative error."""
    material = torch.tensor([0.1, 0.2, 0.6, 0.5])
    truth = material[:, None, None] * torch.tensor([[0.01, 0.2, 1.5]])
    predicted = truth * torch.tensor([1.2, 0.9, 1.1, 0.8])[:, None, None]
    spot = [each[:, 0, 1].double().numpy()[None] for each in (truth, predicted)]
    corrected = fit_correction(*spot, COLOUR, np.array([[0.5, 1.5]]), 3)(predicted[None])[0]
    left = ((corrected - truth).norm(dim=0) / (predicted - truth).norm(dim=0))[0]
    assert left[0] < left[2] - 0.05
    assert left[1] < 0.8


def test_tiles_are_corrected_as_the_whole() -> None:
    truth, predicted = scene_of_two_materials()
    at = np.array([[10.5, 8.5], [20.5, 25.5]])
    spots = [np.stack([each[:, 10, 8].numpy(), each[:, 20, 25].numpy()]).astype(float) for each in (truth, predicted)]
    correct = fit_correction(*spots, COLOUR, at, 32)
    whole = correct(predicted[None])
    part = correct(predicted[None, :, 7:19, 5:30], 7, 5)
    torch.testing.assert_close(part, whole[:, :, 7:19, 5:30], atol=1e-6, rtol=1e-5)


def test_no_value_becomes_negative() -> None:
    predicted = torch.full((1, 4, 3, 3), 0.2)
    spot = np.full((1, 4), 0.2)
    measured = np.array([[0.2, 0.2, 0.2, -4.0]])
    corrected = fit_correction(measured, spot, COLOUR, np.array([[1.5, 1.5]]), 3)(predicted)
    assert corrected.min() == 0


def test_how_bright_spots_are_is_what_the_image_shows() -> None:
    """Spectra measured in another light or at another angle than the image, and of other ground beside the spot."""
    truth, predicted = scene_of_two_materials()
    at = np.array([[10.5, 8.5], [10.5, 24.5], [20.5, 12.5]])
    measured, there = (
        np.stack([each[:, int(row), int(column)].double().numpy() for row, column in at]) for each in (truth, predicted)
    )
    expected = fit_correction(measured, there, COLOUR, at, 32)(predicted[None])
    brighter = measured * np.array([[0.8], [1.3], [1.1]])
    torch.testing.assert_close(fit_correction(brighter, there, COLOUR, at, 32)(predicted[None]), expected)
    half = np.where(np.arange(4) < 2, measured, np.nan)  # of what was measured alone
    expected = fit_correction(half, there, COLOUR, at, 32)(predicted[None])
    torch.testing.assert_close(fit_correction(half * 1.2, there, COLOUR, at, 32)(predicted[None]), expected)
    scaled = as_bright_as(brighter, there, COLOUR)
    seen, shown = scaled @ COLOUR.T, there @ COLOUR.T
    np.testing.assert_allclose((seen * (shown - seen)).sum(1), 0, atol=1e-12)  # least squares


def test_a_panel_sets_the_gain_of_each_band() -> None:
    truth, _ = scene_of_two_materials()
    gain = torch.tensor([2.0, 0.5, 1.25, 1.0])
    predicted = truth / gain[:, None, None]
    white = np.full((1, 4), 0.9)
    correct = fit_correction(white, white / gain.numpy(), COLOUR, np.array([[1.5, 1.5]]), 32, panels=np.array([True]))
    torch.testing.assert_close(correct(predicted[None])[0], truth)
    np.testing.assert_allclose(gain_of(np.array([[1.0, np.nan]]), np.array([[0.1, 0.3]])), [4.0, 1.0])


def test_places_are_flat_bright_and_of_different_colours() -> None:
    random = np.random.default_rng(3)
    image = np.full((3, 40, 40), 0.002)
    image[:, 3:18, 3:18] = np.array([0.6, 0.2, 0.1])[:, None, None]
    image[:, 22:37, 22:37] = np.array([0.1, 0.2, 0.6])[:, None, None]
    image[:, 3:18, 22:37] = random.random((3, 15, 15))  # bright, but rough
    places = choose_places(torch.from_numpy(image), 2)
    corners = {(int(place.row) // 20, int(place.column) // 20) for place in places}
    assert corners == {(0, 0), (1, 1)}
    assert 1 > places[0].left > places[1].left > 0


def test_no_place_is_chosen_twice() -> None:
    """Not even where measuring it again would be worth more than any other place: two grey halves, few places."""
    image = np.full((3, 12, 12), 0.2)
    image[:, :, 6:] = 0.6
    places = choose_places(torch.from_numpy(image), 12)
    assert len({(place.row, place.column) for place in places}) == 12
