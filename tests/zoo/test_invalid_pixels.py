from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from finewave.zoo import invalid_pixels
from finewave.zoo.invalid_pixels import fill_pixels, nearest_valid


@pytest.mark.parametrize("at_once", [1, 50, 2**19])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (8, 1), (2, 2), (13, 9), (64, 33)])
def test_distances_are_those_of_scipy(
    shape: tuple[int, int], share: float, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invalid_pixels, "_MOST_AT_ONCE", at_once)
    random = np.random.default_rng(shape[0] * 100 + round(share * 100))
    for _ in range(5):
        holes = random.random(shape) < share
        holes[random.integers(shape[0]), random.integers(shape[1])] = False
        rows, columns = nearest_valid(holes)
        assert not holes[rows, columns].any()
        y, x = np.nonzero(holes)
        np.testing.assert_allclose(np.hypot(rows - y, columns - x), distance_transform_edt(holes)[holes])


def test_holes_have_the_values_of_the_nearest_pixel() -> None:
    image = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    image[0, 1, 1:] = np.nan
    image[1, 0, 0] = np.inf
    filled, invalid = fill_pixels(image)
    assert invalid.sum() == 4
    np.testing.assert_array_equal(filled[:, 1], [[4, 4, 2, 3], [16, 16, 14, 15]])  # left before above
    np.testing.assert_array_equal(filled[:, 0, 0], [4, 16])
    by_band, each = fill_pixels(image, band_by_band=True)
    assert each.sum(axis=(1, 2)).tolist() == [3, 1]
    assert by_band[0, 0, 0] == 0
    empty, _ = fill_pixels(np.full((1, 2, 2), np.nan))
    assert not empty.any()


def test_bands_of_equal_holes_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.arange(96, dtype=np.float32).reshape(4, 4, 6)
    image[[0, 1, 3], :2, 1] = np.nan
    image[2, 3, 3] = np.nan
    looked = []

    def counted(holes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        looked.append(holes)
        return nearest_valid(holes)

    monkeypatch.setattr(invalid_pixels, "nearest_valid", counted)
    filled, invalid = fill_pixels(image, band_by_band=True)
    assert len(looked) == 3
    np.testing.assert_array_equal(filled[1], fill_pixels(image[1:2])[0][0])
    np.testing.assert_array_equal(filled[2], fill_pixels(image[2:3])[0][0])
    np.testing.assert_array_equal(filled[~invalid], image[~invalid])
