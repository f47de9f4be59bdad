"""QNR against its formulas written out block by block, and where its value is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from finewave.errors import InputError
from finewave.metrics.qnr import BLOCK, QNR, qnr

SCALE, BANDS, GUIDES = 4, 3, 2
SIDE = BLOCK // SCALE


def images(rows: int = 2, columns: int = 3) -> list[torch.Tensor]:
    """Return a fused image, the low one, a guide and the guide at low resolution, of so many blocks."""
    sizes = [(n, f * rows * SIDE, f * columns * SIDE) for n, f in ((BANDS, SCALE), (BANDS, 1), (GUIDES, SCALE))]
    sizes.append((GUIDES, rows * SIDE, columns * SIDE))
    return [torch.rand(size) + 0.2 for size in sizes]


def q_index(a: np.ndarray, b: np.ndarray, side: int) -> float:
    """Return Wang and Bovik's index of two bands, the mean over blocks."""
    values = []
    for top in range(0, a.shape[0], side):
        for left in range(0, a.shape[1], side):
            x, y = (each[top : top + side, left : left + side].astype(float).ravel() for each in (a, b))
            covariance = ((x - x.mean()) * (y - y.mean())).mean()
            values.append(4 * covariance * x.mean() * y.mean() / (x.var() + y.var()) / (x.mean() ** 2 + y.mean() ** 2))
    return float(np.mean(values))


def test_it_is_its_formula() -> None:
    fused, low, guide, guide_low = images()
    G, Y, M, m = (x.numpy() for x in (fused, low, guide, guide_low))
    pairs = [(k, j) for k in range(BANDS) for j in range(BANDS) if k != j]
    d_lambda = np.mean([abs(q_index(G[k], G[j], BLOCK) - q_index(Y[k], Y[j], SIDE)) for k, j in pairs])
    pairs = [(k, j) for k in range(BANDS) for j in range(GUIDES)]
    d_s = np.mean([abs(q_index(G[k], M[j], BLOCK) - q_index(Y[k], m[j], SIDE)) for k, j in pairs])
    assert min(d_lambda, d_s) > 1e-3
    expected = {"d_lambda": d_lambda, "d_s": d_s, "qnr": (1 - d_lambda) * (1 - d_s)}
    assert qnr(fused, low, guide, guide_low, SCALE) == pytest.approx(expected, abs=1e-9)


def test_bands_that_are_related_as_they_were_are_faultless() -> None:
    """Repeated pixels keep all means, variances and covariances."""
    _, low, _, guide_low = images()
    fused, guide = (x.repeat_interleave(SCALE, 1).repeat_interleave(SCALE, 2) for x in (low, guide_low))
    assert qnr(fused, low, guide, guide_low, SCALE) == pytest.approx({"d_lambda": 0, "d_s": 0, "qnr": 1}, abs=1e-9)


def test_it_is_near_that_of_torchmetrics_on_textures_that_repeat() -> None:
    """torchmetrics weighs pixels by sliding Gaussians of 11 x 11, which see less of a wave than a block does."""
    from torchmetrics.functional.image import spatial_distortion_index, spectral_distortion_index

    row = torch.arange(256.0)
    wave = torch.sin(row[:, None] * 2.2) * torch.cos(row[None, :] * 2.9)
    other = torch.sin(row[:, None] * 2.6) * torch.sin(row[None, :] * 2.4)
    low = torch.stack((wave, 0.8 * wave + 0.2 * other)) * 0.2 + 0.5
    guide_low = (0.5 * wave + 0.5 * other)[None] * 0.2 + 0.5
    fused = torch.stack((wave, 0.6 * wave + 0.4 * other)) * 0.2 + 0.5  # of the same size, for windows of the same size
    ours = qnr(fused, low, guide_low, guide_low, scale=1)
    d_lambda = spectral_distortion_index(fused[None], low[None])
    pan = guide_low[None].expand(1, 2, -1, -1)
    d_s = spatial_distortion_index(fused[None], low[None], pan, pan)
    assert float(d_lambda) > 0.05
    assert ours["d_lambda"] == pytest.approx(float(d_lambda), rel=0.25)
    assert ours["d_s"] == pytest.approx(float(d_s), rel=0.25)


def test_parts_make_the_whole() -> None:
    whole = images(2, 4)
    parts = QNR(SCALE)
    for first in (0, 2):
        cut = [slice(first * SIDE * f, (first + 2) * SIDE * f) for f in (SCALE, 1, SCALE, 1)]
        parts.add(*(x[:, :, columns] for x, columns in zip(whole, cut, strict=True)))
    assert parts.blocks == 8
    assert parts.compute() == pytest.approx(qnr(*whole, SCALE))


def test_blocks_without_values_and_remainders_do_not_count() -> None:
    fused, low, guide, guide_low = images(1, 2)
    expected = qnr(*(x[:, :, : x.shape[2] // 2] for x in (fused, low, guide, guide_low)), SCALE)
    fused[0, 3, BLOCK + 2] = torch.nan
    more = [torch.cat((x, x[:, :, : x.shape[1] // SIDE]), 2) for x in (fused, low, guide, guide_low)]
    assert qnr(*more, SCALE) == pytest.approx(expected)
    nothing = [torch.full_like(x, torch.nan) for x in (fused, low, guide, guide_low)]
    assert qnr(*nothing, SCALE) is None


def test_flat_and_single_bands() -> None:
    flat = [torch.full((1, 8 * f, 8 * f), 0.4) for f in (SCALE, 1, SCALE, 1)]
    assert qnr(*flat, SCALE) == {"d_lambda": 0.0, "d_s": 0.0, "qnr": 1.0}
    dark = [torch.zeros(1, 5 * f, 5 * f) for f in (SCALE, 1, SCALE, 1)]
    assert qnr(*dark, SCALE) == {"d_lambda": 0.0, "d_s": 0.0, "qnr": 1.0}


def test_images_that_do_not_belong_together() -> None:
    fused, low, guide, guide_low = images(1, 1)
    with pytest.raises(InputError, match="do not belong together at scale 2"):
        qnr(fused, low, guide, guide_low, 2)
    with pytest.raises(InputError, match="guide has 1 bands, at low resolution 2"):
        qnr(fused, low, guide[:1], guide_low, SCALE)
