from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import finewave as fw
from finewave.data.crops import Crops, Scene, load_scenes
from finewave.data.store import Store
from tests.learning.conftest import small_store, smooth_scene  # noqa: F401 - a fixture

RESPONSE = fw.get_sensor("nikon-d5100").response(np.arange(400.0, 701.0, 10.0))


@pytest.fixture
def scenes(small_store: Path) -> list[Scene]:  # noqa: F811
    store = Store(small_store)
    return load_scenes(store, store.attributes["split"]["train"], 4, {"kernel": "gaussian"})


def test_a_batch_has_four_matching_images(scenes: list[Scene]) -> None:
    batch = Crops(scenes, RESPONSE, scale=4, crop=16, batch_size=3, gain=(0.5, 2)).batch(0)
    assert {k: tuple(v.shape) for k, v in batch.items()} == {
        "hr_hsi": (3, 31, 16, 16),
        "lr_hsi": (3, 31, 4, 4),
        "hr_msi": (3, 3, 16, 16),
        "lr_msi": (3, 3, 4, 4),
    }
    response = torch.from_numpy(RESPONSE).float()
    for ms, hs in (("hr_msi", "hr_hsi"), ("lr_msi", "lr_hsi")):
        torch.testing.assert_close(batch[ms], torch.einsum("kc,bchw->bkhw", response, batch[hs]))


def test_crops_match_across_scales_after_turns() -> None:
    """In the middle of a crop, degrading the HR crop gives the LR crop, whatever the turn and gain."""
    scene = Scene("a", smooth_scene(1, 64), 65535, 4, {})
    batch = Crops([scene], RESPONSE, scale=4, crop=48, batch_size=16, gain=(0.5, 2)).batch(3)
    middle = (..., slice(3, -3), slice(3, -3))
    torch.testing.assert_close(fw.degrade(batch["hr_hsi"], 4)[middle], batch["lr_hsi"][middle], rtol=0, atol=1e-3)


def test_the_stream_depends_on_seed_and_number_alone(scenes: list[Scene]) -> None:
    def crops(seed: int) -> Crops:
        return Crops(scenes, RESPONSE, scale=4, crop=16, batch_size=2, steps=5, seed=seed)

    whole = list(crops(1))
    resumed = crops(1)
    resumed.load_state_dict({"start": 3})
    resumed.steps = 2
    for a, b in zip(whole[3:], resumed, strict=True):
        assert torch.equal(a["hr_hsi"], b["hr_hsi"])
    assert not torch.equal(whole[0]["hr_hsi"], next(iter(crops(2)))["hr_hsi"])
    assert not torch.equal(whole[0]["hr_hsi"], whole[1]["hr_hsi"])


def test_grid_sampling_takes_the_published_crops() -> None:
    cube = smooth_scene(1, 32)
    scene = Scene("a", cube, 65535, 4, {})
    crops = Crops([scene], RESPONSE, scale=4, crop=16, batch_size=64, sampling="grid", augment=False).batch(0)
    expected = {cube[:, y : y + 16, x : x + 16].tobytes() for y in (0, 16) for x in (0, 16)}
    got = {(c * 65535).round().numpy().astype(np.uint16).tobytes() for c in crops["hr_hsi"]}
    assert got == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": 18}, "data.crop=18 is no multiple"),
        ({"crop": 64}, "smaller than data.crop=64"),
        ({"crop": 16, "sampling": "tile"}, "'random' or 'grid'"),
    ],
)
def test_bad_options(scenes: list[Scene], options: dict, message: str) -> None:
    with pytest.raises(fw.InputError, match=message):
        Crops(scenes, RESPONSE, scale=4, **options)


def test_mixtures_obey_the_observation_model() -> None:
    """A mixed crop is no crop of one scene, and its LR-HSI is still the HR-HSI degraded."""
    scene = Scene("a", smooth_scene(1, 64), 65535, 4, {})
    other = Scene("b", smooth_scene(2, 64), 65535, 4, {})
    mixed = Crops([scene, other], RESPONSE, scale=4, crop=48, batch_size=16, mix=1.0).batch(0)
    plain = Crops([scene, other], RESPONSE, scale=4, crop=48, batch_size=16).batch(0)
    middle = (..., slice(3, -3), slice(3, -3))
    torch.testing.assert_close(fw.degrade(mixed["hr_hsi"], 4)[middle], mixed["lr_hsi"][middle], rtol=0, atol=1e-3)
    assert not torch.equal(mixed["hr_hsi"], plain["hr_hsi"])
