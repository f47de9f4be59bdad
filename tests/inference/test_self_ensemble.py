"""The mean over eight orientations, and how far they are apart."""

from __future__ import annotations

import dask
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from finewave.inference.self_ensemble import ORIENTATIONS, Spread
from finewave.inference.super_resolve import super_resolve, super_resolve_with_spread
from finewave.inference.tiling.plan import plan_tiles
from finewave.scene import make_scene
from finewave.systems.base import SRNetwork
from finewave.warnings import FinewaveWarning
from finewave.zoo.model import Model
from tests.inference.test_consistent import OUTPUT_NM, joint, observed
from tests.inference.tiling.test_seamless import model_of
from tests.inference.tiny_models import scene_of


class Lopsided(SRNetwork):
    """A network that knows left from right and up from down; its cells of 2 x 2 pixels, too."""

    task = "sssr"
    scale, ms_bands, hs_bands, receptive_field, size_multiple = 2, 3, 5, 3, 2

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.conv = torch.nn.Conv2d(3, 5 * 4, 5, padding=2)

    def forward(self, lr_msi: torch.Tensor) -> torch.Tensor:
        cells = F.interpolate(F.avg_pool2d(lr_msi, 2), scale_factor=2)
        return F.pixel_shuffle(torch.sin(self.conv(lr_msi * cells)), 2)


class Guided(SRNetwork):
    """The same, with a guide at twice the size."""

    task = "fusion"
    scale, ms_bands, hs_bands, receptive_field = 2, 3, 4, 2

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.conv = torch.nn.Conv2d(7, 4, 3, padding=1)

    def forward(self, lr_hsi: torch.Tensor, hr_msi: torch.Tensor) -> torch.Tensor:
        return self.conv(torch.cat((F.interpolate(lr_hsi, scale_factor=2), hr_msi), 1))


def turned(image: np.ndarray, number: int) -> np.ndarray:
    """Return an image (c, h, w) transposed or not, then flipped in one way of four: another list of the eight."""
    if number & 4:
        image = image.transpose(0, 2, 1)
    return np.ascontiguousarray(image[:, :: -1 if number & 1 else 1, :: -1 if number & 2 else 1])


def turned_back(image: np.ndarray, number: int) -> np.ndarray:
    image = image[:, :: -1 if number & 1 else 1, :: -1 if number & 2 else 1]
    return image.transpose(0, 2, 1) if number & 4 else image


def eight(model: Model, **images: np.ndarray) -> np.ndarray:
    """Return what a model answers in each orientation, turned back: (8, C, H, W)."""
    answers = []
    for number in range(8):
        tensors = {name: torch.from_numpy(turned(image, number))[None] for name, image in images.items()}
        answers.append(turned_back(model.predict(**tensors)[0].numpy(), number))
    return np.stack(answers)


def test_orientations_are_eight_and_are_undone() -> None:
    image = torch.arange(6.0).view(1, 1, 2, 3)
    seen = {tuple(each.turn(image).flatten().tolist()) + tuple(each.turn(image).shape) for each in ORIENTATIONS}
    assert len(seen) == 8
    for each in ORIENTATIONS:
        assert torch.equal(each.turn_back(each.turn(image)), image)
    assert torch.equal(ORIENTATIONS[0].turn(image), image)


def test_mean_and_deviation() -> None:
    images = torch.randn(8, 3, 4) + 100
    spread = Spread(images[0])
    assert torch.equal(spread.deviation, torch.zeros(3, 4))
    for image in images[1:]:
        spread.add(image)
    torch.testing.assert_close(spread.mean, images.mean(0))
    torch.testing.assert_close(spread.deviation, images.std(0, correction=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("tile", [100, 6])
def test_mean_and_spread_of_a_scene_whose_sides_differ(tile: int) -> None:
    model, scene = Model(Lopsided()), scene_of(14, 26)
    answers = eight(model, lr_msi=scene.values)
    result, spread = super_resolve_with_spread(scene, model, tile=tile)
    np.testing.assert_allclose(result.values, answers.mean(0), atol=1e-5)
    np.testing.assert_allclose(spread.values, answers.std(0), atol=1e-5)
    assert spread.values.max() > 0.1
    assert spread.attrs["quantity"] == "standard deviation over eight flips and rotations"
    np.testing.assert_array_equal(super_resolve(scene, model, tile=tile, self_ensemble=True).values, result.values)
    assert np.abs(super_resolve(scene, model).values - result.values).max() > 0.1


def test_windows_of_pooling_are_turned_along() -> None:
    """Those at a border are moved into the image, whichever border that is."""
    model, scene = model_of("sspsr", dtype=torch.float64), scene_of(9, 48, bands=4)
    tiling = plan_tiles(model, 9, 48, tile=6)
    assert any(tile.seen[1].stop - tile.seen[1].start < 48 for tile in tiling)
    whole, tiled = (super_resolve(scene, model, tile=tile, self_ensemble=True).values for tile in (48, 6))
    assert np.abs(whole).max() > 1e-2
    np.testing.assert_allclose(tiled, whole, rtol=1e-6, atol=5e-6)


def test_a_turned_scene_gives_the_turned_result() -> None:
    model, scene = Model(Lopsided()), scene_of(8, 12)
    expected = super_resolve(scene, model, self_ensemble=True).values
    for number in range(8):
        other = super_resolve(make_scene(turned(scene.values, number)), model, self_ensemble=True)
        np.testing.assert_allclose(turned_back(other.values, number), expected, atol=1e-5)


@pytest.mark.parametrize("tile", [100, 5])
def test_guides_are_turned_along(tile: int) -> None:
    model, scene, guide = Model(Guided()), scene_of(9, 13, bands=4), scene_of(18, 26)
    answers = eight(model, lr_hsi=scene.values, hr_msi=guide.values)
    result, spread = super_resolve_with_spread(scene, model, guide, tile=tile)
    np.testing.assert_allclose(result.values, answers.mean(0), atol=1e-5)
    np.testing.assert_allclose(spread.values, answers.std(0), atol=1e-5)


def test_a_reference_is_turned_along() -> None:
    net = Guided()
    net.task = "refsr"
    net.forward = lambda lr_hsi, ref_rgb: F.interpolate(lr_hsi, scale_factor=2) * ref_rgb[:, :1, :1, :1]
    scene, reference = scene_of(4, 6, bands=4), scene_of(7, 5)
    result, spread = super_resolve_with_spread(scene, Model(net), reference)
    corners = reference.values[0][[0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_allclose(result.values, scene.values.repeat(2, 1).repeat(2, 2) * corners.mean(), rtol=1e-5)
    np.testing.assert_allclose(spread.values, scene.values.repeat(2, 1).repeat(2, 2) * corners.std(), atol=1e-6)


def test_pixels_without_a_value_have_no_spread() -> None:
    scene = scene_of(8, 10)
    scene.values[1, 3, 4] = np.nan
    scene.values[:, :, 6:] = np.nan  # two tiles have nothing else
    with pytest.warns(FinewaveWarning, match="33 of 80 pixels"):
        result, spread = super_resolve_with_spread(scene, Model(Lopsided()), tile=4)
    assert (np.isnan(spread.values) == np.isnan(result.values)).all()
    assert np.isnan(spread.values).sum() == 33 * 4 * 5


def test_lazy_results_share_their_work() -> None:
    net, calls = Lopsided(), []
    scene = scene_of(8, 20)
    expected = super_resolve_with_spread(scene, Model(Lopsided()), tile=8)
    forward = net.forward
    net.forward = lambda lr_msi: calls.append(1) or forward(lr_msi)
    lazy = super_resolve_with_spread(scene.chunk({"x": 7}), Model(net), tile=8)
    assert calls == []
    both = dask.compute(*lazy, scheduler="threads")
    assert len(calls) == 3 * 8
    for one, other in zip(both, expected, strict=True):
        np.testing.assert_allclose(one.values, other.values, atol=1e-5)


def test_results_that_are_made_consistent_are_apart_only_in_what_is_not_observed() -> None:
    net, scene, bands = Lopsided(), scene_of(8, 12), len(OUTPUT_NM)
    net.hs_bands, net.conv = bands, torch.nn.Conv2d(3, bands * 4, 5, padding=2)
    model = Model(net, joint().card)
    _, plain = super_resolve_with_spread(scene, model)
    result, projected = super_resolve_with_spread(scene, model, consistent="exact")
    assert np.abs(observed(result) - scene.values).max() < 1e-5
    assert float(projected.max()) > 0.05
    assert float(np.square(projected).mean()) < float(np.square(plain).mean())
