"""Which scenes the training of `residual-sr` sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.photographs import chosen_split
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
