from __future__ import annotations

import pytest

import finewave as fw
from finewave.studies.budget import Budget
from finewave.training.configuration.recipes import load_recipe


@pytest.mark.parametrize(
    ("text", "budget", "words"),
    [
        ("published", Budget("published"), "as long as the recipe says"),
        ("0.05", Budget("fraction", 0.05), "5 % of the recipe's steps"),
        ("2.5%", Budget("fraction", 0.025), "2.5 % of the recipe's steps"),
        (".5", Budget("fraction", 0.5), "50 % of the recipe's steps"),
        ("1.0", Budget("fraction", 1.0), "100 % of the recipe's steps"),
        ("800", Budget("steps", 800), "800 steps"),
        ("800steps", Budget("steps", 800), "800 steps"),
        ("2e7px", Budget("pixels", 2e7), "2e+07 HR pixels seen"),
        ("5e13flop", Budget("flops", 5e13), "5e+13 FLOPs of forward and backward passes"),
        ("5e+13 FLOPs", Budget("flops", 5e13), "5e+13 FLOPs of forward and backward passes"),
    ],
)
def test_words_of_the_user(text: str, budget: Budget, words: str) -> None:
    assert Budget.parse(text) == budget
    assert str(budget) == words


@pytest.mark.parametrize("text", ["", "much", "-3", "0", "0px", "1.5", "200%", "2.5steps", "1e", "nan", "inf", "0flop"])
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(fw.InputError, match="is none of: published, a fraction"):
        Budget.parse(text)


def test_phases_change_by_one_factor() -> None:
    recipe = load_recipe("jssunet-cave-x4")
    assert Budget("published").apply(recipe) == recipe
    tenth = Budget("fraction", 0.1).apply(recipe)
    assert (tenth["phase1"]["steps"], tenth["phase2"]["steps"]) == (2000, 200)
    assert (tenth["phase1"]["validate_every"], tenth["phase2"]["validate_every"]) == (500, 50)
    steps = Budget("steps", 400).apply(recipe)
    assert (steps["phase1"]["steps"], steps["phase2"]["steps"]) == (400, 40)
    pixels = Budget("pixels", 16 * 128**2 * 30).apply(recipe)
    assert (pixels["phase1"]["steps"], pixels["phase2"]["steps"]) == (30, 3)
    assert recipe == load_recipe("jssunet-cave-x4")
    # a recipe that validates twice keeps to that, and a phase has at least one step
    twice = Budget("steps", 4).apply(load_recipe("common-sr-ssr-cave-x4-short"))
    assert (twice["phase1"]["steps"], twice["phase1"]["validate_every"]) == (4, 2)
    assert Budget("steps", 1).apply(recipe)["phase2"]["steps"] == 1
