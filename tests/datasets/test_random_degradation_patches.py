from __future__ import annotations

import numpy as np
import torch

import finewave as fw
from finewave.datasets.patches import Crops, DegradedScene
from tests.training.conftest import smooth_scene

RESPONSE = fw.get_sensor("nikon-d5100").response(np.arange(400.0, 701.0, 10.0))


def test_every_blind_crop_has_a_degradation_of_its_own() -> None:
    """All crops of a scene without variation differ by their noise alone, and some have none."""
    scene = DegradedScene("flat", np.full((31, 16, 16), 30000, np.uint16), 65535, 4, {})
    batch = Crops([scene], RESPONSE, scale=4, crop=16, batch_size=40, blind=True, seed=1).batch(0)
    spread = batch["lr_hsi"].std((1, 2, 3))
    levels = (255 * spread).round().int().tolist()
    assert set(levels) == {0, 1, 2, 3, 4}
    assert torch.equal(batch["hr_hsi"], batch["hr_hsi"][:1].expand_as(batch["hr_hsi"]))
    response = torch.from_numpy(RESPONSE).float()
    torch.testing.assert_close(batch["lr_msi"], torch.einsum("kc,bchw->bkhw", response, batch["lr_hsi"]))


def test_blind_crops_show_their_scene_and_can_be_repeated() -> None:
    scene = DegradedScene("a", smooth_scene(1, 64), 65535, 4, {})
    crops = Crops([scene], RESPONSE, scale=4, crop=48, batch_size=8, blind=True, seed=5)
    batch, again, other = crops.batch(3), crops.batch(3), crops.batch(4)
    assert torch.equal(batch["lr_hsi"], again["lr_hsi"])
    assert not torch.equal(batch["lr_hsi"], other["lr_hsi"])
    middle = (..., slice(3, -3), slice(3, -3))
    error = (fw.degrade(batch["hr_hsi"], 4) - batch["lr_hsi"])[middle].abs().mean((1, 2, 3))
    assert error.max() < 0.02  # the blobs are wider than any of the kernels; what is left is noise


def test_measured_images_are_degraded_with_their_crop() -> None:
    """A measured image of the scene's own first bands is observed as those bands are, but for the noise."""
    values = smooth_scene(1, 32)
    scene = DegradedScene("a", values, 65535, 4, {}, values[:3])
    batch = Crops([scene], RESPONSE, scale=4, crop=16, batch_size=8, blind=True, seed=2).batch(0)
    assert torch.equal(batch["hr_msi"], batch["hr_hsi"][:, :3])
    error = (batch["lr_msi"] - batch["lr_hsi"][:, :3]).abs().mean((1, 2, 3))
    assert float(error.max()) < 0.03
    assert float(error.min()) == 0.0  # without noise
