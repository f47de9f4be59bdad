"""Synthetic views: the flow is exact where a pixel is seen, and the same scene has the same view."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from finewave.datasets.patches import Crops, DegradedScene
from finewave.datasets.synthetic_views import (
    Planes,
    UnalignedCrops,
    margin_for,
    random_planes,
    render,
    scene_with_reference,
    with_reference,
)
from finewave.errors import InputError
from finewave.nn.warping import backward_warp, pixel_grid


def smooth(height: int, width: int, bands: int = 3) -> torch.Tensor:
    """An image so smooth that interpolation hardly errs."""
    y, x = torch.meshgrid(torch.arange(height) / 9, torch.arange(width) / 11, indexing="ij")
    return torch.stack([0.5 + 0.4 * torch.sin(x + b) * torch.cos(y - b) for b in range(bands)])


def grown(x: torch.Tensor) -> torch.Tensor:
    """Largest value within two pixels."""
    return torch.nn.functional.max_pool2d(x, 5, 1, 2)


@pytest.mark.parametrize("seed", range(6))
def test_the_flow_is_exact_where_a_pixel_is_seen(seed: int) -> None:
    image = smooth(60, 70)
    planes = random_planes(60, 70, np.random.default_rng(seed), parallax=6.0, shift=3.0, roll=2.0, layers=4)
    view = render(image, planes)
    warped = backward_warp(view.image[None], view.flow[None])[0]
    # left out: two pixels around hidden ones, around where planes meet, and at the borders of both views
    hidden, number = 1 - view.visible[None], planes.number[None, None].float()
    near = grown(hidden) + (grown(number) + grown(-number))
    where = pixel_grid(60, 70, image) + view.flow
    inside = (where >= 2).all(1) & (where[:, 0] <= 67) & (where[:, 1] <= 57)
    inside[:, :2], inside[:, -2:], inside[..., :2], inside[..., -2:] = False, False, False, False
    counted = inside[0] & (near[0, 0] == 0)
    assert counted.float().mean() > 0.25
    assert (warped - image).abs().amax(0)[counted].max() < 5e-3
    assert view.flow.norm(dim=0).max() < 6 + 3 + 6  # motion, turn, and what roll and nearing do at the corners


def test_a_plane_in_front_hides_what_is_behind() -> None:
    """The left half moves three pixels to the right, over the right half."""
    number = torch.zeros(8, 12, dtype=torch.long)
    number[:, :6] = 1
    still, moved = torch.eye(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    moved[0, 2] = 3
    image = torch.rand(3, 8, 12)
    view = render(image, Planes(number, torch.stack((still, moved))))
    assert (view.flow[0, :, :6] == 3).all()
    assert not view.flow[0, :, 6:].any()
    assert not view.flow[1].any()
    assert not view.visible[0, :, 6:9].any()
    assert view.visible[0, :, 9:].all()
    torch.testing.assert_close(view.image[:, :, 3:9], image[:, :, :6])
    torch.testing.assert_close(view.image[:, :, 9:], image[:, :, 9:])


def test_without_motion_nothing_moves() -> None:
    image = torch.rand(3, 20, 24)
    planes = random_planes(20, 24, np.random.default_rng(0), parallax=0.0, shift=0.0, roll=0.0)
    view = render(image, planes)
    torch.testing.assert_close(view.image, image, atol=1e-4, rtol=0)
    assert view.flow.abs().max() < 1e-4
    assert view.visible.all()


def sample(size: int = 32) -> dict[str, torch.Tensor]:
    hr = smooth(size, size, 5)[None]
    return {"hr_hsi": hr, "lr_hsi": hr[..., ::4, ::4], "hr_msi": hr[:, :3]}


def test_margins_are_cut_at_both_sizes() -> None:
    batch = with_reference(sample(48), (1,), margin=8)
    sizes = {key: tuple(value.shape[-2:]) for key, value in batch.items()}
    assert sizes.pop("lr_hsi") == (8, 8)
    assert set(sizes.values()) == {(32, 32)}
    assert torch.equal(batch["hr_hsi"], sample(48)["hr_hsi"][..., 8:-8, 8:-8])
    assert torch.equal(batch["lr_hsi"], sample(48)["lr_hsi"][..., 2:-2, 2:-2])


def test_colours_differ_together() -> None:
    batch = with_reference(sample(), (3,), colour=0.2, parallax=0.0, shift=0.0, roll=0.0)
    ratio = batch["source_rgb"].mean((2, 3)) / batch["hr_msi"].mean((2, 3))
    assert ((ratio - 1).abs() > 1e-3).all()
    torch.testing.assert_close(batch["ref_rgb"], batch["source_rgb"], atol=1e-4, rtol=0)


def test_a_scene_has_one_reference() -> None:
    a, b, other = (scene_with_reference(sample(), name)["ref_rgb"] for name in ("toys", "toys", "beads"))
    assert torch.equal(a, b)
    assert not torch.equal(a, other)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="paralax"):
        with_reference(sample(), (0,), paralax=3.0)
    with pytest.raises(InputError, match="3 bands"):
        with_reference({"hr_msi": torch.rand(1, 4, 8, 8)}, (0,))


def test_the_stream_resumes() -> None:
    values = (np.random.default_rng(0).random((5, 40, 40)) * 255).astype(np.uint16)
    scene = DegradedScene("x", values, 255, 4, {"kernel": "gaussian"})
    response = np.eye(3, 5)

    def stream() -> UnalignedCrops:
        options = {"parallax": 3.0, "shift": 1.0}
        margin = margin_for(4, options)
        crops = Crops([scene], response, scale=4, crop=16 + 2 * margin, batch_size=2, steps=4)
        return UnalignedCrops(crops, margin, **options)

    assert margin_for(4, {"parallax": 3.0, "shift": 1.0}) == 4
    first = stream()
    batches = [batch for batch, _ in zip(first, range(3), strict=False)]
    assert batches[0]["ref_rgb"].shape == (2, 3, 16, 16)
    later = stream()
    later.load_state_dict({"start": 2})
    for key, value in next(iter(later)).items():
        assert torch.equal(value, batches[2][key]), key
    assert torch.equal(later.batch(1)["flow"], batches[1]["flow"])
