"""What a card says of the pixels of a training is of the network's own first input."""

from __future__ import annotations

import pytest
import torch

from finewave.systems.registry import create_model
from finewave.training.seen_pixels import seen_pixels
from finewave.zoo.seen import SeenPixels


@pytest.mark.parametrize(
    ("system", "options", "first"),
    [
        ("ridge", {"ms_bands": 3, "hs_bands": 20}, "hr_msi"),
        ("residual-fusion", {"scale": 4, "ms_bands": 3, "hs_bands": 20}, "lr_hsi"),
    ],
)
def test_pixels_of_the_first_input_are_described(system: str, options: dict[str, int], first: str) -> None:
    generator = torch.Generator().manual_seed(1)
    images = [torch.rand(1, 3 if first == "hr_msi" else 20, 12, 12, generator=generator) * 0.3 for _ in range(2)]
    found = seen_pixels(create_model(system, **options), ({first: image} for image in images))
    assert found is not None
    seen = SeenPixels.from_card(found)
    assert not any(seen.unlike(image[0].numpy()).any() for image in images)
    assert seen.unlike(images[0][0].numpy() + 0.6).all()


def test_nothing_is_said_of_images_of_any_bands_nor_of_pixels_without_a_value() -> None:
    assert seen_pixels(create_model("bicubic", scale=2), iter([{"lr_hsi": torch.rand(1, 3, 4, 4)}])) is None
    empty = torch.full((1, 3, 4, 4), torch.nan)
    assert seen_pixels(create_model("ridge", ms_bands=3, hs_bands=5), iter([{"hr_msi": empty}])) is None
