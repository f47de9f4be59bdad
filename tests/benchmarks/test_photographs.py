"""Which scenes the training of `residual-sr` sees."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks.photographs import check_options, chosen_split, network_of
from finewave.errors import InputError
from finewave.evaluation.folds import make_folds

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
