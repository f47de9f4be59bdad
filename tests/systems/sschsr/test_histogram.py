"""Histogram matching against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.exposure import match_histograms as of_scikit_image

from finewave.systems.sschsr.histogram import match_histograms


@pytest.mark.parametrize("levels", [5, 1000])
@pytest.mark.parametrize("size", [(7, 9), (20, 21)])
def test_agrees_with_scikit_image(levels: int, size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, levels, (2, 3, 12, 10)) / levels
    reference = random.integers(0, levels, (2, 3, *size)) ** 2 / levels**2
    expected = [of_scikit_image(a, b, channel_axis=0) for a, b in zip(image, reference, strict=True)]
    result = match_histograms(torch.from_numpy(image), torch.from_numpy(reference))
    np.testing.assert_allclose(result.numpy(), np.stack(expected), atol=1e-12)


def test_an_image_matches_itself() -> None:
    x = torch.rand(2, 3, 8, 9)
    torch.testing.assert_close(match_histograms(x, x), x)


def test_one_pixel_and_constant_images() -> None:
    assert match_histograms(torch.rand(1, 1, 1, 1), torch.full((1, 1, 1, 1), 0.3)).item() == pytest.approx(0.3)
    assert (match_histograms(torch.full((1, 1, 3, 3), 0.5), torch.rand(1, 1, 3, 3)).unique().numel()) == 1
    assert (
        match_histograms(torch.rand(1, 2, 4, 4).bfloat16(), torch.rand(1, 2, 4, 4).bfloat16()).dtype == torch.bfloat16
    )
