"""Which scenes the training of `residual-sr` sees, and by what it learns."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.photographs import check_options, chosen_split, figures_of, loss_of, network_of
from finewave.errors import InputError
from finewave.evaluation.folds import make_folds
from finewave.physics.observation import Observation
from finewave.systems.base import SRNetwork

SPLIT = {"train": ["a", "b", "c", "d"], "val": ["e", "f"], "test": ["g"]}


def test_a_fold_is_left_out_in_a_folder_of_its_own() -> None:
    assert chosen_split(Path("runs/x4"), SPLIT, None, None) == (
        Path("runs/x4"),
        {"train": ["a", "b", "c", "d"], "val": ["e", "f"]},
    )
    left_out = []
    for number, fold in enumerate(make_folds("abcdef", 3), 1):
        folder, split = chosen_split(Path("runs/x4"), SPLIT, 3, number)
        assert folder == Path(f"runs/x4-fold-{number}-of-3")
        assert (split["train"], split["val"]) == (list(fold.training), list(fold.scored))
        left_out += split["val"]
    assert sorted(left_out) == list("abcdef")


@pytest.mark.parametrize(("folds", "fold"), [(4, None), (None, 1), (4, 0), (4, 5)])
def test_a_fold_that_there_is_not(folds: int | None, fold: int | None) -> None:
    with pytest.raises(InputError, match="a number of folds, and of one of them from 1"):
        chosen_split(Path("x"), SPLIT, folds, fold)


@pytest.mark.parametrize(
    ("share", "batch", "steps", "words"),
    [
        (1.5, 12, None, "--share 1.5"),
        (-0.1, 12, None, "--share"),
        (0.4, 0, None, "--batch 0"),
        (0.4, 12, 0, "--steps 0"),
    ],
)
def test_numbers_out_of_range(share: float, batch: int, steps: int | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_options(Namespace(share=share, batch=batch, steps=steps))
    check_options(Namespace(share=0.0, batch=1, steps=None))


def test_networks_have_the_stated_options_and_else_their_defaults() -> None:
    options = Namespace(system="residual-sr", scale=2, features=8, blocks=0, stages=None, kernel="gaussian")
    plain = Namespace(**{**vars(options), "blocks": None})
    branch = Namespace(system="jssunet-sr", scale=2, features=8, blocks=None, stages=1, kernel="gaussian")
    configs = [network_of(each, 3).config or {} for each in (options, plain, branch)]
    assert [(config["features"], config.get("blocks"), config.get("stages")) for config in configs] == [
        (8, 0, None),
        (8, 8, None),
        (8, None, 1),
    ]


class Brighter(SRNetwork):
    """The observed image, four times as large, in one band brighter by ``error``."""

    task = "sr"

    def __init__(self, error: float) -> None:
        super().__init__()
        self.error = error

    def forward(self, lr_hsi: Tensor) -> Tensor:
        change = torch.tensor([self.error, 0, 0])[:, None, None]
        return lr_hsi.repeat_interleave(4, 2).repeat_interleave(4, 3) + change


OBSERVATION = Observation(4, {"kernel": "gaussian"}, "the test")


def test_errors_of_dark_pixels_count_by_their_brightness_too() -> None:
    """Of flat images the loss is known: sqrt(e² + 0.02²) and 0.4 sqrt((e / (b + 0.01))² + 0.05²), of bands."""
    for brightness in (0.02, 0.5):
        image = torch.full((2, 3, 16, 16), brightness)
        for error in (0.0, 0.0625):  # is exact in bfloat16
            loss = float(loss_of(Brighter(error), OBSERVATION, image))
            found = [
                (e**2 + 0.02**2) ** 0.5 + 0.4 * ((e / (brightness + 0.01)) ** 2 + 0.05**2) ** 0.5
                for e in (error, 0.0, 0.0)
            ]
            assert loss == pytest.approx(sum(found) / 3, rel=1e-3)


def test_figures_are_means_over_images() -> None:
    """A band of 0.5 that is brighter by 0.1: 10 log10(3 / 0.1²) dB; the angle from (1, 1, 1) to (1.2, 1, 1)."""
    image = torch.full((1, 3, 16, 16), 0.5)
    angle = torch.rad2deg(torch.tensor(3.2 / (3 * 3.44) ** 0.5).acos())
    assert figures_of(Brighter(0.1), OBSERVATION, [image, image]) == f"24.77 dB, {angle:.2f} degrees"
