"""Kernel ridge regression with effects of scenes: against a plain formulation, and what it is for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from finewave.errors import InputError
from finewave.systems.scene_ridge import network
from finewave.systems.scene_ridge.network import SceneRidge

RESPONSE = torch.tensor([[0.6, 0.4, 0.0, 0.0], [0.0, 0.1, 0.5, 0.4]], dtype=torch.float64)


def scene(seed: int, height: int = 7, width: int = 6, twist: float = 0.0) -> dict[str, torch.Tensor]:
    """Four bands, smooth functions of two numbers that every scene twists a little, and a camera's two."""
    random = np.random.default_rng(seed)
    a, b = torch.from_numpy(random.uniform(0.05, 0.9, (2, height, width)))
    spectra = torch.stack([a, a * b + 0.1, (1 + twist) * b, b.square() + 0.2 * a])[None]
    return {"hr_msi": torch.einsum("kc,bchw->bkhw", RESPONSE, spectra), "hr_hsi": spectra}


def build(**options: Any) -> SceneRidge:
    torch.manual_seed(0)
    return SceneRidge(2, 4, **{"centres": 25, "windows": (), "sharpness": 0.7, **options}).double()


def predict(net: SceneRidge, sample: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        return net.eval()(sample["hr_msi"])


def test_it_is_the_minimum_of_what_it_says_it_minimises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "LEAST_EIGENVALUE", 1e-14)
    samples = [scene(1), scene(2, 5, 5, twist=0.3), scene(3, 4, 9, twist=-0.4)]
    net = build(windows=(3,), context=0.6, penalty=0.02, scene_penalty=0.05, sharpness=0.2, centres=12)
    net.prepare_from(samples, 5)
    # plain: features pixel by pixel, all unknowns of all scenes at once, penalties as further rows of a least squares
    features, targets, weights = [], [], []
    for sample in samples:
        ms, hs = sample["hr_msi"][0].numpy(), sample["hr_hsi"][0].numpy()
        padded = np.pad(ms, ((0, 0), (1, 1), (1, 1)), mode="edge")
        rows, spectra, bright = [], [], []
        for i, j in np.ndindex(ms.shape[1:]):
            parts = []
            for x, weight in ((ms[:, i, j], 1.0), (padded[:, i : i + 3, j : j + 3].mean((1, 2)), 0.6)):
                b = x.mean() + network.DARK
                parts += [*(2 * weight * np.sqrt(x / b + network.FLAT)), weight * network.BRIGHTNESS * np.log(b)]
            rows.append(parts)
            bright.append(ms[:, i, j].mean() + network.DARK)
            spectra.append(hs[:, i, j] / bright[-1])
        features.append(np.array(rows))
        targets.append(np.array(spectra))
        weights.append(np.array(bright))
    unit = np.concatenate(weights).mean()
    weights = [each / unit for each in weights]
    everything = np.concatenate(weights)[:, None]
    mean = (everything * np.concatenate(targets)).sum(0) / everything.sum()
    centres = net.centres.numpy() + net.middle.numpy()

    def kernels(points: np.ndarray) -> np.ndarray:
        return np.array([[np.exp(-0.2 * np.sum((p - z) ** 2)) for z in centres] for p in points])

    root = np.linalg.cholesky(kernels(centres)).T
    nothing = np.zeros((12, 12))
    blocks, values = [], []
    for number, (f, y, w) in enumerate(zip(features, targets, weights, strict=True)):
        scale = np.sqrt(w / len(w))[:, None]
        columns = [scale * kernels(f), *(scale * kernels(f) if number == s else 0 * kernels(f) for s in range(3))]
        blocks += [np.hstack(columns)]
        values += [scale * (y - mean)]
        blocks += [np.hstack([nothing, *(np.sqrt(0.05) * root if number == s else nothing for s in range(3))])]
        values += [np.zeros((12, 4))]
    blocks += [np.hstack([np.sqrt(0.02) * root, nothing, nothing, nothing])]
    values += [np.zeros((12, 4))]
    common = np.linalg.lstsq(np.vstack(blocks), np.vstack(values), rcond=None)[0][:12]
    np.testing.assert_allclose(net.coefficients.detach().numpy(), common, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(net.mean.detach().numpy(), mean)
    # and the result for a pixel: brightness times the relative spectrum, then the nearest that the camera sees so
    x = samples[0]["hr_msi"][0].numpy()[:, 2, 3]
    spectrum = (x.mean() + network.DARK) * (mean + kernels(features[0][2 * 6 + 3 : 2 * 6 + 4])[0] @ common)
    R = RESPONSE.numpy()
    expected = spectrum + np.linalg.pinv(R) @ (x - R @ spectrum)
    np.testing.assert_allclose(predict(net, samples[0])[0, :, 2, 3].numpy(), expected, atol=1e-6)


def test_results_are_what_the_camera_saw() -> None:
    net = build()
    net.prepare_from([scene(1), scene(2)], 0)
    torch.testing.assert_close(net.response, RESPONSE, rtol=0, atol=1e-8)
    other = scene(9)
    seen = torch.einsum("kc,bchw->bkhw", RESPONSE, predict(net, other))
    torch.testing.assert_close(seen, other["hr_msi"], rtol=1e-6, atol=1e-7)


def test_a_scene_of_many_pixels_counts_as_one() -> None:
    """Nine scenes say one thing, the tenth, of a hundred times their pixels, another: the nine are believed."""
    usual = [scene(seed, 5, 5) for seed in range(9)]
    odd = scene(10, 50, 50, twist=1.0)
    new = scene(11, 6, 6)
    errors = []
    for scene_penalty in (1e-3, 1e4):  # so large a penalty forbids what is a scene's own
        net = build(scene_penalty=scene_penalty, penalty=1e-5)
        net.prepare_from([*usual, odd, odd, odd], 0)
        errors.append(float((predict(net, new) - new["hr_hsi"]).square().mean()))
    assert errors[0] < 0.8 * errors[1]


def test_it_learns_what_bends() -> None:
    net = build(centres=150, penalty=1e-6, scene_penalty=1e3, sharpness=0.5)
    net.prepare_from([scene(1, 30, 30)], 0)
    new = scene(2, 12, 12)
    assert (predict(net, new) - new["hr_hsi"]).square().mean().sqrt() < 0.15 * new["hr_hsi"].std()


def test_pixels_without_values_teach_nothing() -> None:
    spoilt = scene(1, 8, 8)
    spoilt["hr_hsi"][..., :2, :] = torch.nan
    spoilt["hr_hsi"][..., 2, :] = 0
    rest = {name: image[..., 3:, :] for name, image in scene(1, 8, 8).items()}
    nets = []
    for sample in (spoilt, rest):
        net = build(centres=40)
        net.prepare_from([sample], 0)
        nets.append(net)
    new = scene(2)
    torch.testing.assert_close(predict(nets[0], new), predict(nets[1], new), rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match="no pixel of them is valid"):
        build().prepare_from([{name: torch.full_like(image, torch.nan) for name, image in scene(1).items()}], 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"windows": (4,)}, r"windows=\[4\] is out of range; it must be odd numbers >= 3"),
        ({"scene_penalty": 0.0}, "scene_penalty=0.0 is out of range"),
        ({"penalty": -1.0}, "penalty=-1.0 is out of range"),
        ({"context": 0.0}, "context=0.0 is out of range"),
        ({"centres": 0}, "centres=0 is out of range"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(**options)
