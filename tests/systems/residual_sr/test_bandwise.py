"""The network for any number of bands: one set of weights for all, each band by itself and its neighbours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import finewave as fw
from finewave.errors import InputError
from finewave.inference.predict import predict_file
from finewave.scene import make_scene
from finewave.systems.registry import create_model
from finewave.systems.residual_sr.bandwise import BandwiseSR


def build(scale: int = 2, bands: int | None = None, **options: object) -> BandwiseSR:
    """Return a small network whose last layer does something."""
    torch.manual_seed(1)
    net = create_model("bandwise-sr", scale=scale, hs_bands=bands, **{"features": 8, "blocks": 1, **options})
    assert isinstance(net, BandwiseSR)
    torch.nn.init.normal_(net.tail.weight, std=0.05, generator=torch.Generator().manual_seed(2))
    return net.eval()


def image(bands: int, height: int = 9, width: int = 7, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, bands, height, width, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_bands_see_themselves_and_their_neighbours() -> None:
    net, lr = build(), image(6)
    whole = net(lr)
    assert whole.shape == (1, 6, 18, 14)
    changed = lr.clone()
    changed[:, 2] += 0.1
    acted = (net(changed) - whole).abs().amax((0, 2, 3)) > 1e-5
    assert acted.tolist() == [False, True, True, True, False, False]
    for bands in (slice(0, 1), slice(1, 5)):  # any number; inner bands do not depend on it
        part = net(lr[:, bands])
        assert part.shape[1] == bands.stop - bands.start
    torch.testing.assert_close(part[:, 1:-1], whole[:, 2:4], rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(
    "degradation", [{"kernel": "gaussian"}, {"kernel": "gaussian", "mtf": 0.25}, {"kernel": "bicubic"}]
)
@pytest.mark.parametrize("scale", [2, 3])
def test_results_are_observed_as_the_input(degradation: dict[str, object], scale: int) -> None:
    lr = image(3)
    result = build(scale, degradation=degradation)(lr)
    torch.testing.assert_close(fw.degrade(result, scale, **degradation), lr, rtol=0, atol=2e-5)
    torch.testing.assert_close(build(scale, degradation=degradation)(0.01 * lr), 0.01 * result, rtol=1e-3, atol=1e-6)


@torch.no_grad()
def test_another_blur_is_undone_before_the_network_looks() -> None:
    """The network is given what the usual blur would have seen, not the input."""
    y, x = torch.meshgrid(torch.linspace(0, 3, 48), torch.linspace(0, 3, 40), indexing="ij")
    hr = (1 + 0.5 * torch.sin(2 * y) * torch.cos(x))[None, None].repeat(1, 3, 1, 1)
    wide = {"kernel": "gaussian", "mtf": 0.2}
    lr, usual = fw.degrade(hr, 2, **wide), fw.degrade(hr, 2)
    seen = build(2, degradation=wide).seen(lr)
    assert (seen - usual).abs().max() < 0.2 * (lr - usual).abs().max()
    assert build(2).seen(lr) is lr


def test_a_step_looks_at_some_bands_of_many() -> None:
    net = build().train()
    hr = image(40, 16, 16)
    output, terms = net.training_loss({"lr_hsi": fw.degrade(hr, 2), "hr_hsi": hr}, 0.5)
    assert output is None
    with torch.no_grad():
        whole = float((net(fw.degrade(hr, 2)) - hr).abs().mean())
    assert terms["l1"].item() == pytest.approx(whole, rel=0.2)
    few = {"lr_hsi": fw.degrade(hr[:, :6], 2), "hr_hsi": hr[:, :6]}
    output, terms = net.training_loss(few, 0.5)
    assert output is not None
    assert output.shape == few["hr_hsi"].shape
    assert not terms


def test_from_file_to_file_with_any_number_of_bands(tmp_path: Path) -> None:
    fw.Model(build()).save(tmp_path / "model")
    for count in (1, 5):
        values = np.random.default_rng(0).random((count, 12, 10), dtype=np.float32)
        fw.save_scene(make_scene(values, wavelengths=np.linspace(500, 600, count)), tmp_path / f"{count}.tif")
        predict_file(tmp_path / f"{count}.tif", tmp_path / f"out{count}.tif", tmp_path / "model")
        with fw.open_scene(tmp_path / f"out{count}.tif") as result:
            assert result.shape == (count, 24, 20)
            np.testing.assert_allclose(result.wavelength, np.linspace(500, 600, count))
        lazy = make_scene(values, wavelengths=np.linspace(500, 600, count)).chunk({"y": 6})
        assert fw.super_resolve(lazy, str(tmp_path / "model")).shape == (count, 24, 20)


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="blocks=-1 is out of range"):
        build(blocks=-1)
    with pytest.raises(InputError, match="separable and symmetric"):
        build(degradation={"kernel": "anisotropic-gaussian", "variances": (1.0, 0.4), "angle": 0.5})
