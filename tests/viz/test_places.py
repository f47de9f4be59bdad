from __future__ import annotations

import numpy as np

from finewave.viz.places import highest_contrast_window, representative_points


def test_the_highest_contrast_window_is_where_the_contrast_is() -> None:
    truth = np.zeros((2, 60, 80), np.float32)
    truth[:, 30:50, 40:60] = np.indices((20, 20)).sum(0) % 2
    top, left, side = highest_contrast_window(truth)
    assert side == 24
    assert top <= 30
    assert top + side >= 50
    assert left <= 40
    assert left + side >= 60
    small = np.random.default_rng(0).random((1, 10, 12))
    assert highest_contrast_window(small)[2] == 10


def test_points_lie_in_even_areas_of_different_spectra() -> None:
    random = np.random.default_rng(1)
    truth = np.empty((3, 90, 90))
    for i, spectrum in enumerate(([0.9, 0.9, 0.9], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8])):
        truth[:, 30 * i : 30 * (i + 1)] = np.array(spectrum)[:, None, None]
    truth[:, :, 45:] += random.uniform(-0.1, 0.1, (3, 90, 45))  # not even
    points = representative_points(truth, 3)
    assert sorted(y // 30 for y, _ in points) == [0, 1, 2]
    assert points[0][0] // 30 == 0
    assert all(x < 45 for _, x in points)
    assert len(representative_points(np.full((2, 9, 9), 0.5))) >= 1


def test_pixels_without_data_are_no_places_to_look_at() -> None:
    truth = np.zeros((2, 60, 80), np.float32)
    truth[:, 30:50, 40:60] = np.indices((20, 20)).sum(0) % 2
    truth[:, :20] = np.nan
    top, left, side = highest_contrast_window(truth)
    assert top >= 20
    assert top + side >= 50
    assert left <= 40
    truth[:] = np.random.default_rng(2).random((2, 60, 80))
    truth[:, :, :50] = np.nan
    assert all(x >= 50 for _, x in representative_points(truth))


def test_the_smallest_scenes_have_a_part_and_a_point() -> None:
    for shape in ((1, 1, 1), (2, 1, 9), (3, 5, 2)):
        top, left, side = highest_contrast_window(np.ones(shape))
        assert (top, left, side) == (0, 0, min(shape[1:]))
        points = representative_points(np.ones(shape))
        assert points
        assert all(0 <= y < shape[1] and 0 <= x < shape[2] for y, x in points)
    assert len(representative_points(np.full((2, 9, 9), np.nan))) == 1
