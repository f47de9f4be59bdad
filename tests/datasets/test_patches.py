from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import finewave as fw
from finewave.datasets.patches import Crops, DegradedScene, load_scenes, with_ms
from finewave.datasets.store import Store
from tests.training.conftest import small_store, smooth_scene  # noqa: F401 - a fixture

RESPONSE = fw.get_sensor("nikon-d5100").response(np.arange(400.0, 701.0, 10.0))


@pytest.fixture
def scenes(small_store: Path) -> list[DegradedScene]:  # noqa: F811 - the fixture by its name
    store = Store(small_store)
    return load_scenes(store, store.attributes["split"]["train"], 4, {"kernel": "gaussian"})


def test_every_scene_has_noise_of_its_own_in_every_run() -> None:
    flat = np.full((31, 64, 64), 30000, np.uint16)

    def noise(name: str, seed: int | None = None) -> torch.Tensor:
        scene = DegradedScene(name, flat, 65535, 4, {"noise": 0.01, "seed": seed}, msi=flat)
        assert not torch.equal(scene.lr_hsi, scene.lr_msi)
        return scene.lr_hsi

    train, val = noise("train1"), noise("val1")
    torch.manual_seed(99)  # no matter
    assert torch.equal(train, noise("train1"))
    difference = (train - val) / 2**0.5
    assert difference.std().item() == pytest.approx(0.01, rel=0.05)  # independent, not only different
    assert not torch.equal(train, noise("train1", seed=1))
    assert torch.equal(noise("val1", seed=1), noise("val1", seed=1))


def test_a_batch_has_four_matching_images(scenes: list[DegradedScene]) -> None:
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
    scene = DegradedScene("a", smooth_scene(1, 64), 65535, 4, {})
    batch = Crops([scene], RESPONSE, scale=4, crop=48, batch_size=16, gain=(0.5, 2)).batch(3)
    middle = (..., slice(3, -3), slice(3, -3))
    torch.testing.assert_close(fw.degrade(batch["hr_hsi"], 4)[middle], batch["lr_hsi"][middle], rtol=0, atol=1e-3)


def test_the_stream_depends_on_seed_and_number_alone(scenes: list[DegradedScene]) -> None:
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
    scene = DegradedScene("a", cube, 65535, 4, {})
    crops = Crops([scene], RESPONSE, scale=4, crop=16, batch_size=64, sampling="grid", augment=False).batch(0)
    expected = {cube[:, y : y + 16, x : x + 16].tobytes() for y in (0, 16) for x in (0, 16)}
    got = {(c * 65535).round().numpy().astype(np.uint16).tobytes() for c in crops["hr_hsi"]}
    assert got == expected


def test_grid_sampling_shows_every_crop_once_before_any_again() -> None:
    scenes = [
        DegradedScene("a", smooth_scene(1, 32), 65535, 4, {}),
        DegradedScene("b", smooth_scene(2, 48), 65535, 4, {}),
    ]
    crops = Crops(scenes, RESPONSE, scale=4, crop=16, batch_size=3, sampling="grid", augment=False, steps=26)
    seen = [crop.numpy().tobytes() for batch in crops for crop in batch["hr_hsi"]]
    epochs = [seen[i : i + 13] for i in range(0, 78, 13)]  # 4 and 9 crops; 13 is not a multiple of the batch
    assert all(len(set(epoch)) == 13 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 6  # each in an order of its own
    again = Crops(scenes, RESPONSE, scale=4, crop=16, batch_size=3, sampling="grid", augment=False)
    assert again.batch(7)["hr_hsi"][1].numpy().tobytes() == seen[22]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": 18}, "data.crop=18 is not a multiple"),
        ({"crop": 64}, "smaller than data.crop=64"),
        ({"crop": 16, "sampling": "tile"}, "unknown sampling of crops 'tile'"),
    ],
)
def test_bad_options(scenes: list[DegradedScene], options: dict, message: str) -> None:
    with pytest.raises(fw.InputError, match=message):
        Crops(scenes, RESPONSE, scale=4, **options)


def test_mixtures_obey_the_observation_model() -> None:
    """A mixed crop is not a crop of one scene, and its LR-HSI is still the HR-HSI degraded."""
    scene = DegradedScene("a", smooth_scene(1, 64), 65535, 4, {})
    other = DegradedScene("b", smooth_scene(2, 64), 65535, 4, {})
    mixed = Crops([scene, other], RESPONSE, scale=4, crop=48, batch_size=16, mix=1.0).batch(0)
    plain = Crops([scene, other], RESPONSE, scale=4, crop=48, batch_size=16).batch(0)
    middle = (..., slice(3, -3), slice(3, -3))
    torch.testing.assert_close(fw.degrade(mixed["hr_hsi"], 4)[middle], mixed["lr_hsi"][middle], rtol=0, atol=1e-3)
    assert not torch.equal(mixed["hr_hsi"], plain["hr_hsi"])


def naive_batch(
    scenes: list[DegradedScene], n: int, seed: int, *, crop: int, batch_size: int, gain: tuple, mix: float
) -> dict:
    """Batch ``n`` of a stream by its definition, crop by crop, with PyTorch alone."""
    random = np.random.default_rng((seed, n))

    def one() -> tuple[torch.Tensor, torch.Tensor]:
        scene, size = scenes[random.integers(len(scenes))], crop // 4
        y, x = (random.integers(side - size + 1) for side in scene.lr_hsi.shape[1:])
        factor = float(np.exp(random.uniform(*np.log(gain))))
        turns, flip = int(random.integers(4)), bool(random.integers(2))
        hr = torch.from_numpy(scene.hr_hsi[:, 4 * y : 4 * y + crop, 4 * x : 4 * x + crop].astype(np.float64))
        pair = [hr / scene.full_scale, scene.lr_hsi[:, y : y + size, x : x + size].double()]
        pair = [(factor * image).rot90(turns, (1, 2)) for image in pair]
        return tuple(image.flip(2) if flip else image for image in pair)

    crops = []
    for _ in range(batch_size):
        pair = one()
        if random.uniform() < mix:
            other, share = one(), random.uniform()
            pair = tuple(share * a + (1 - share) * b for a, b in zip(pair, other, strict=True))
        crops.append(pair)
    hr_hsi, lr_hsi = (torch.stack(images) for images in zip(*crops, strict=True))
    return with_ms({"hr_hsi": hr_hsi, "lr_hsi": lr_hsi}, RESPONSE)


@pytest.mark.parametrize("mix", [0.0, 0.5])
def test_batches_are_those_of_the_definition(scenes: list[DegradedScene], mix: float) -> None:
    options = {"crop": 16, "batch_size": 6, "gain": (0.5, 2.0), "mix": mix}
    stream = Crops(scenes, RESPONSE, scale=4, steps=3, seed=11, **options)
    for number, batch in enumerate(stream):
        expected = naive_batch(scenes, number, 11, **options)
        assert batch.keys() == expected.keys()
        for key, images in batch.items():
            torch.testing.assert_close(images, expected[key].float(), rtol=1e-5, atol=1e-6)
            assert images.is_contiguous(memory_format=torch.channels_last)


def test_the_position_counts_what_was_handed_out(scenes: list[DegradedScene]) -> None:
    """A checkpoint after batch 2 continues with batch 3, however many were made ahead."""
    stream = Crops(scenes, RESPONSE, scale=4, crop=16, batch_size=2, steps=9)
    batches = iter(stream)
    for _ in range(2):
        next(batches)
    time.sleep(0.2)
    assert stream.state_dict() == {"start": 2}
    assert torch.equal(next(batches)["hr_hsi"], stream.batch(2)["hr_hsi"])


def test_a_stream_that_is_left_ends_its_thread(scenes: list[DegradedScene]) -> None:
    batches = iter(Crops(scenes, RESPONSE, scale=4, crop=16, batch_size=2, steps=1000))
    next(batches)
    assert any(thread.name == "crops" for thread in threading.enumerate())
    batches.close()
    assert not any(thread.name == "crops" for thread in threading.enumerate())


def test_what_fails_in_the_making_shows(scenes: list[DegradedScene]) -> None:
    stream = Crops(scenes, RESPONSE, scale=4, crop=16, batch_size=2, steps=5)
    stream.scenes = []
    with pytest.raises(IndexError):
        next(iter(stream))


def test_half_of_the_crops_are_rolled_by_half_their_height() -> None:
    """Brightness that falls with the row shows it; both images of a crop are rolled alike."""
    ramp = np.broadcast_to(np.linspace(60000, 3000, 32)[:, None], (31, 32, 32)).astype(np.uint16)
    scene = DegradedScene("a", ramp, 65535, 4, {})
    plain, rolled = (
        Crops([scene], RESPONSE, scale=4, crop=32, batch_size=64, augment=False, roll=roll, seed=2).batch(0)
        for roll in (False, True)
    )
    as_it_was = (rolled["hr_hsi"] == plain["hr_hsi"][:1]).flatten(1).all(1)
    assert 16 < int(as_it_was.sum()) < 48
    for key, half in (("hr_hsi", 16), ("lr_hsi", 4)):
        turned = plain[key][:1].roll(half, 2).expand_as(rolled[key])
        torch.testing.assert_close(rolled[key][~as_it_was], turned[~as_it_was], rtol=0, atol=0)
        torch.testing.assert_close(rolled[key][as_it_was], plain[key][as_it_was], rtol=0, atol=0)


def test_a_sharper_measured_image_is_brought_to_the_pixels_of_its_scene() -> None:
    values, measured = smooth_scene(3, 16)[:8], smooth_scene(4, 64)[:3]
    scene = DegradedScene("a", values, 65535, 4, {}, measured)
    expected = fw.degrade(torch.from_numpy(measured.astype(np.float32)), 4, kernel="bicubic")
    np.testing.assert_allclose(scene.hr_msi, expected.numpy(), rtol=0, atol=0)
    with pytest.raises(fw.InputError, match=r"scene 'a': \(64, 48\) multispectral pixels for \(16, 16\) others"):
        DegradedScene("a", values, 65535, 4, {}, measured[:, :, :48])
