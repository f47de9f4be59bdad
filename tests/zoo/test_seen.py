"""What training pixels were like: inside is what lies among them, outside what does not."""

from __future__ import annotations

import json

import numpy as np

from finewave.zoo.seen import SeenPixels


def land(seed: int, count: int = 4000) -> np.ndarray:
    """Dark pixels and bright ones, (N, 3); nothing between them."""
    random = np.random.default_rng(seed)
    means = np.where(random.uniform(size=(count, 1)) < 0.5, [[0.03, 0.05, 0.04]], [[0.2, 0.3, 0.5]])
    return means * random.uniform(0.7, 1.3, (count, 3))


def test_other_pixels_of_the_same_land_are_inside_and_what_was_never_seen_is_not() -> None:
    seen = SeenPixels.of(land(1))
    assert seen.unlike(land(2).T[:, :, None]).mean() < 0.002
    strange = np.array([[0.5, 0.3, 0.2], [0.9, 0.9, 0.9], [0.03, 0.05, 0.5]]).T[:, None]
    assert seen.unlike(strange).all()
    between = np.array([0.09, 0.13, 0.18])[:, None, None]  # inside of the whole cloud's hull, but of neither kind
    assert seen.unlike(between).all()


def test_it_survives_a_card_and_leaves_missing_values_out() -> None:
    pixels = np.vstack([land(1), np.full((5, 3), np.nan)])
    seen = SeenPixels.of(pixels)
    again = SeenPixels.from_card(json.loads(json.dumps(seen.to_card())))
    image = np.concatenate([land(3, 10).T, np.full((3, 2), (np.nan, np.inf))], 1).reshape(3, 4, 3)
    np.testing.assert_array_equal(again.unlike(image), seen.unlike(image))
    assert not again.unlike(image)[-1, -2:].any()


def test_few_or_equal_pixels_are_enough() -> None:
    alike = SeenPixels.of(np.full((3, 2), 0.2))
    assert not alike.unlike(np.full((2, 1, 1), 0.2)).any()
    assert alike.unlike(np.full((2, 1, 1), 0.4)).all()


def test_many_bands_are_averaged_to_groups_of_neighbours() -> None:
    random = np.random.default_rng(4)
    pixels = random.random((500, 1)) * np.linspace(0.1, 0.6, 31) * random.uniform(0.95, 1.05, (500, 31))
    seen = SeenPixels.of(pixels)
    assert np.shape(seen.centres)[1] == len(seen.spread) == 12
    groups = np.array_split(np.arange(31), 12)
    points = np.sqrt(np.stack([pixels[:, group].mean(1) for group in groups], 1) + 0.01) / seen.spread
    nearest = np.linalg.norm(points[:, None] - np.array(seen.centres), axis=2).min(1) / seen.limit
    found = seen.distances(pixels.T[:, :, None])
    np.testing.assert_allclose(found[:, 0], nearest, rtol=1e-6, atol=1e-6)
    assert (found <= 1).mean() > 0.99
    assert seen.unlike(pixels.T[::-1, :, None] + 0.3).all()
