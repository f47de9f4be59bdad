"""Kernel ridge regression against a plain formulation, and what it must do at the edges of its training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from finewave.errors import InputError
from finewave.systems.kernel_ridge import network
from finewave.systems.kernel_ridge.network import KernelRidge


def images(seed: int, height: int = 9, width: int = 8) -> dict[str, torch.Tensor]:
    """Two bands and, of them, three that bend: smooth functions of the pixel alone."""
    random = np.random.default_rng(seed)
    ms = torch.from_numpy(random.uniform(0.02, 0.9, (1, 2, height, width)))
    a, b = ms[:, 0], ms[:, 1]
    hs = torch.stack([0.3 * a + 0.2, torch.sin(3 * a) * b, (a - b).abs().sqrt()], 1)
    return {"hr_msi": ms, "hr_hsi": hs}


def build(**options: Any) -> KernelRidge:
    torch.manual_seed(0)
    return KernelRidge(2, 3, **{"windows": (), "centres": 40, "sharpness": 0.5, "penalty": 1e-4, **options}).double()


def predict(net: KernelRidge, sample: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        return net.eval()(sample["hr_msi"])


def test_it_is_the_minimum_of_what_it_says_it_minimises() -> None:
    sample = images(1)
    net = build(windows=(3,), context=0.4, sharpness=0.2)
    net.prepare_from([sample], 5)
    # plain: one pixel at a time, and the penalties as further rows of one least squares problem
    ms, hs = sample["hr_msi"][0].numpy(), sample["hr_hsi"][0].numpy()
    padded = np.pad(ms, ((0, 0), (1, 1), (1, 1)), mode="edge")
    features, bands, targets = [], [], []
    for row, column in np.ndindex(ms.shape[1:]):
        around = padded[:, row : row + 3, column : column + 3].mean((1, 2))
        features.append(np.sqrt(np.concatenate([ms[:, row, column], around]) + network.DARK))
        bands.append(ms[:, row, column])
        targets.append(hs[:, row, column])
    f, x, y = np.array(features), np.array(bands), np.array(targets)
    f = (f - f.mean(0)) / f.std(0) * np.array([1, 1, 0.4, 0.4])
    centres = net.centres.numpy()
    assert all(np.abs(f - centre).sum(1).min() < 1e-9 for centre in centres)

    def kernels(points: np.ndarray) -> np.ndarray:
        return np.array([[np.exp(-0.2 * np.sum((p - z) ** 2)) for z in centres] for p in points])

    design = np.hstack([x, np.ones((len(x), 1)), kernels(f)])
    weights = 1 / (x.mean(1) + network.HALF_WEIGHT)
    weights /= weights.mean()
    rows = np.sqrt(weights / len(x))[:, None]
    root = np.linalg.cholesky(net.penalty * kernels(centres) + network.JITTER * np.eye(40)).T
    bent = np.hstack([np.zeros((40, 3)), root])
    straight = np.sqrt(network.LINEAR_PENALTY) * np.eye(2, 43)
    system = np.vstack([rows * design, bent, straight])
    solution = np.linalg.lstsq(system, np.vstack([rows * y, np.zeros((42, 3))]), rcond=None)[0]
    found = predict(net, sample)[0].reshape(3, -1).T.numpy()
    np.testing.assert_allclose(found, design @ solution, atol=1e-6)


def test_it_learns_what_bends_where_an_affine_map_cannot() -> None:
    train, other = images(1, 40, 40), images(2, 20, 20)
    net = build(centres=200, penalty=1e-6)
    net.prepare_from([train], 0)
    error = (predict(net, other) - other["hr_hsi"]).square().mean().sqrt()
    rows = np.column_stack([train["hr_msi"][0].reshape(2, -1).T, np.ones(1600)])
    line = np.linalg.lstsq(rows, train["hr_hsi"][0].reshape(3, -1).T.numpy(), rcond=None)[0]
    straight = np.column_stack([other["hr_msi"][0].reshape(2, -1).T, np.ones(400)]) @ line
    affine = np.sqrt(np.mean((straight - other["hr_hsi"][0].reshape(3, -1).T.numpy()) ** 2))
    assert error < 0.35 * affine


def test_far_from_all_that_it_saw_it_is_its_affine_part() -> None:
    net = build()
    net.prepare_from([images(1)], 0)
    bright = torch.full((1, 2, 2, 2), 40.0, dtype=torch.float64)
    expected = 40 * net.affine[:-1].sum(0) + net.affine[-1]
    torch.testing.assert_close(predict(net, {"hr_msi": bright})[0, :, 1, 1], expected.detach())


def test_pixels_without_values_teach_nothing() -> None:
    clean, spoilt = images(1, 8, 8), images(1, 8, 8)
    spoilt["hr_hsi"][..., 0, :] = 0
    spoilt["hr_hsi"][0, 1, 1, :] = torch.nan
    rest = {name: image[..., 2:, :] for name, image in clean.items()}
    nets = []
    for sample in (rest, spoilt):
        net = build(centres=48)
        net.prepare_from([sample], 0)
        nets.append(net)
    assert torch.isfinite(nets[1].coefficients).all()
    torch.testing.assert_close(predict(nets[1], clean), predict(nets[0], clean), rtol=1e-5, atol=1e-5)


def test_of_many_pixels_some_are_drawn_from_all_scenes() -> None:
    net = build(pixels=60, centres=60)
    samples = [images(seed) for seed in range(4)]
    ms, _, _ = net._draw(samples, torch.Generator().manual_seed(3))
    assert len(ms) == 60
    of_scene = [(sample["hr_msi"][0].reshape(2, -1).T[:, None] == ms).all(-1).any(1).sum() for sample in samples]
    assert min(of_scene) >= 5
    assert sum(of_scene) == 60


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"windows": (4,)}, r"windows=\[4\] is out of range; it must be odd numbers >= 3"),
        ({"centres": 0}, "centres=0 is out of range"),
        ({"penalty": -1.0}, "penalty=-1.0 is out of range"),
        ({"sharpness": 0.0}, "sharpness=0.0 is out of range"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(**options)


def test_without_a_pixel_there_is_nothing_to_learn() -> None:
    empty = {name: torch.full_like(image, torch.nan) for name, image in images(1).items()}
    with pytest.raises(InputError, match="no pixel of them is valid"):
        build().prepare_from([empty], 0)
