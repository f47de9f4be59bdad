"""The network for any sensor: its library, and that what is solved from it is what training for the sensor gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from finewave.errors import InputError
from finewave.systems.any_sensor.network import AnySensor
from finewave.systems.registry import create_model

BANDS = 12
OPTIONS: dict[str, dict[str, Any]] = {
    "kernel-ridge": {"centres": 30, "windows": [3, 5], "context": 0.4},
    "scene-ridge": {"centres": 30, "windows": [3, 5], "pixels": 1000},
    "ridge-knn": {"neighbours": 4, "pixels": 149},
}


def scenes(seed: int = 0, sides: tuple[tuple[int, int], ...] = ((9, 8), (7, 11))) -> list[Tensor]:
    """HR-HSI of nearly smooth spectra: mixtures of five, and what is each pixel's own."""
    random = np.random.default_rng(seed)
    places = np.linspace(0, 1, BANDS)
    pure = np.stack([0.1 + 0.4 * np.exp(-(((places - centre) / 0.3) ** 2)) for centre in np.linspace(0, 1, 5)])
    images = [np.einsum("kyx,kc->cyx", random.uniform(0.02, 0.5, (5, *each)), pure) for each in sides]
    return [torch.from_numpy(image + random.uniform(0, 0.02, image.shape)).float()[None] for image in images]


def response_of(seed: int, bands: int) -> Tensor:
    weights = np.random.default_rng(seed).uniform(0, 1, (bands, BANDS))
    return torch.from_numpy(weights / weights.sum(1, keepdims=True)).float()


def samples(response: Tensor, images: list[Tensor]) -> list[dict[str, Tensor]]:
    return [{"hr_hsi": image, "hr_msi": torch.einsum("kc,bcyx->bkyx", response, image)} for image in images]


def build(ssr: str = "kernel-ridge", **options: Any) -> AnySensor:
    torch.manual_seed(0)
    whole = {"ms_bands": 3, "hs_bands": BANDS, "windows": [3, 5], "spectra": 200, "components": BANDS, **options}
    net = create_model("any-sensor", ssr=ssr, ssr_options=OPTIONS[ssr], **whole)
    assert isinstance(net, AnySensor)
    return net


def test_the_library_holds_the_spectra_and_the_means_around_them() -> None:
    images = scenes()
    net = build()
    net.prepare_from(samples(response_of(1, 3), images), 4)
    library = net.library
    assert library.used == sum(image[0, 0].numel() for image in images)
    for number, image in enumerate(images):
        found = library.spectra(library.scene == number)[:, 0].numpy()
        true = image[0].flatten(1).T.double().numpy()
        nearest = np.abs(found[:, None] - true[None]).max(2)
        assert nearest.min(1).max() < 2e-4
        assert len(set(nearest.argmin(1))) == len(true), "each pixel once"
        # plain: the mean of nine, edges repeated
        padded = np.pad(image[0].double().numpy(), ((0, 0), (1, 1), (1, 1)), mode="edge")
        means = np.stack([
            padded[:, row : row + 3, column : column + 3].mean((1, 2)) for row, column in np.ndindex(image.shape[2:])
        ])  # fmt: skip
        around = library.spectra(library.scene == number)[:, 1].numpy()
        assert np.abs(around - means[nearest.argmin(1)]).max() < 2e-4


def test_it_keeps_as_many_pixels_as_it_is_told_and_none_without_a_value() -> None:
    images = scenes()
    images[0][0, :, 2, 3] = float("nan")
    images[1][0, :, 0, :] = 0
    net = build(spectra=40)
    net.prepare_from(samples(response_of(1, 3), images), 4)
    assert net.library.used == 40
    assert set(net.library.scene.tolist()) == {0, 1}
    whole = build()
    whole.prepare_from(samples(response_of(1, 3), images), 4)
    assert whole.library.used == 72 - 25 + 77 - 11  # a mean over 25 pixels has no value where one has none
    with pytest.raises(InputError, match="needs training images"):
        build().prepare_from([], 0)


@pytest.mark.parametrize("ssr", ["kernel-ridge", "scene-ridge"])
def test_what_is_solved_for_another_sensor_is_what_training_for_it_gives(ssr: str) -> None:
    images, other = scenes(), response_of(7, 4)
    net = build(ssr)
    net.prepare_from(samples(response_of(1, 3), images), 4)
    solved = net.solved_for(other, seed=9)
    trained = create_model(ssr, ms_bands=4, hs_bands=BANDS, **{**OPTIONS[ssr], "centres": 149})
    everything = create_model(
        "any-sensor", ms_bands=4, hs_bands=BANDS, ssr=ssr, ssr_options={**OPTIONS[ssr], "centres": 149},
        windows=[3, 5], spectra=200, components=BANDS,
    )  # fmt: skip
    assert isinstance(everything, AnySensor)
    # with every pixel a centre, the order in which pixels are drawn does not count
    trained.prepare_from(samples(other, images), 9)
    everything.prepare_from(samples(response_of(1, 4), images), 4)
    probe = torch.einsum("kc,bcyx->bkyx", other, scenes(3)[0])
    with torch.no_grad():
        expected, found = trained.eval()(probe), everything.solved_for(other, seed=9)(probe)
        truth = scenes(3)[0]
        assert (found - expected).abs().max() < 5e-3 * truth.max()
        assert (solved(probe) - truth).square().mean().sqrt() < 0.2 * truth.std()


@pytest.mark.parametrize("ssr", OPTIONS)
def test_other_output_bands_are_sums_of_the_spectrum(ssr: str) -> None:
    images, other, output = scenes(), response_of(7, 4), response_of(8, 5)
    net = build(ssr)
    net.prepare_from(samples(response_of(1, 3), images), 4)
    probe = torch.einsum("kc,bcyx->bkyx", other, scenes(3)[0])
    with torch.no_grad():
        whole, some = net.solved_for(other)(probe), net.solved_for(other, output)(probe)
    assert some.shape[1] == 5
    torch.testing.assert_close(some, torch.einsum("kc,bcyx->bkyx", output, whole), atol=2e-4, rtol=0)


def test_windows_grow_with_the_number_of_pixels() -> None:
    net = build()
    net.prepare_from(samples(response_of(1, 3), scenes()), 4)
    finer = net.solved_for(response_of(7, 4), pixels=3.7)
    assert finer.inner.windows == (11, 19)
    assert finer.receptive_field == 9
    flat = torch.full((1, 4, 30, 30), 0.2)
    with torch.no_grad():
        torch.testing.assert_close(finer(flat), net.solved_for(response_of(7, 4))(flat))


def test_what_was_made_for_one_sensor_cannot_be_made_for_another() -> None:
    net = build()
    net.prepare_from(samples(response_of(1, 3), scenes()), 4)
    solved = net.solved_for(response_of(7, 4))
    assert net.any_sensor
    assert not solved.any_sensor
    assert not solved.prepares
    with pytest.raises(InputError, match="made for one sensor"):
        solved.solved_for(response_of(7, 4))


@pytest.mark.parametrize("wrong", [{"spectra": -1}, {"components": 0}, {"windows": [4]}, {"bands": 0}, {"ssr": "edsr"}])
def test_options_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong.values())) if "ssr" in wrong else next(iter(wrong))):
        create_model("any-sensor", **wrong)
