"""Crops that are cut at once from images of different sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.photograph_crops import Crops, Pool
from finewave.errors import InputError

SIDE = 6


def _images(*shapes: tuple[int, int, int]) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.random(shape).astype(np.float32) for shape in shapes]


def test_a_crop_is_what_slices_of_the_image_are() -> None:
    images = _images((4, 7, 9), (4, 12, 6), (4, 8, 8))
    pool, random = Pool(images, SIDE, torch.device("cpu")), np.random.default_rng(1)
    numbers = random.integers(3, size=40)
    places, turns = pool.places(numbers, random), random.random((40, 3)) < 0.5
    crops = pool.cut(numbers, places, turns).numpy()
    for crop, number, (i, j), (rows, columns, swapped) in zip(crops, numbers, places, turns, strict=True):
        own = images[number][:, i : i + SIDE, j : j + SIDE]
        own = own[:, :: -1 if rows else 1, :: -1 if columns else 1]
        own = own if not swapped else own.transpose(0, 2, 1)
        np.testing.assert_array_equal(crop.transpose(2, 0, 1), own)


def test_places_reach_every_border_and_no_further() -> None:
    pool = Pool(_images((3, 7, 9)), SIDE, torch.device("cpu"))
    places = pool.places(np.zeros(200, int), np.random.default_rng(0))
    assert (places.min(0) == 0).all()
    assert places.max(0).tolist() == [1, 3]


def test_images_that_are_smaller_than_a_crop_are_refused() -> None:
    with pytest.raises(InputError, match="5 pixels"):
        Pool(_images((3, 9, 9), (3, 8, 5)), SIDE, torch.device("cpu"))


def _crops(share: float, scenes: list[np.ndarray], seed: int = 0) -> Crops:
    wavelengths = np.linspace(400, 700, 5, dtype=np.float32)
    response = np.full((3, 5), 0.2, np.float32)
    return Crops(_images((3, 9, 9)), scenes, response, wavelengths, side=SIDE, batch=8, share=share, seed=seed)


def test_batches_have_three_bands_and_depend_on_the_seed_alone() -> None:
    scenes = _images((5, 10, 10))
    first, again, other = (_crops(0.4, scenes, seed).batch() for seed in (0, 0, 1))
    assert first.shape == (8, 3, SIDE, SIDE)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_crops_of_scenes_keep_the_exposure_and_are_of_photographs_by_share() -> None:
    flat = [np.full((5, 10, 10), 0.5, np.float32)]
    seen = _crops(0.0, flat).batch()
    assert ((seen >= 0.5 * np.exp(-0.2) - 1e-6) & (seen <= 0.5 * np.exp(0.5) + 1e-6)).all()
    assert (seen.flatten(1).std(1) < 0.1).all()
    assert (_crops(1.0, flat).batch().flatten(1).std(1) > 0.02).all()


def test_dull_crops_are_drawn_anew() -> None:
    scene = np.zeros((5, 40, 40), np.float32)
    scene[:, 20:] = np.random.default_rng(0).random((5, 20, 40))
    pool = _crops(0.0, [scene])
    lively = np.mean([float(pool.batch().flatten(1).std(1).gt(1e-3).float().mean()) for _ in range(20)])
    assert lively > 0.8  # a single draw meets the lower half in 57 % of the cases
