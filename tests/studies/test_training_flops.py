from __future__ import annotations

import pytest
import torch

import finewave as fw
from finewave.studies.budget import Budget
from finewave.studies.reports.table_formats import stem_of
from finewave.studies.study_request import request_cells
from finewave.studies.training_flops import flops_of_training, flops_per_step, phases_of, random_batch
from finewave.systems.registry import create_model
from finewave.training.configuration.recipes import load_recipe, network_options
from finewave.zoo.flops import flops_of


def test_a_step_by_hand() -> None:
    # four convolutions, one after the other: as many operations for the gradient of the weights as forward, and as many
    # for that of the input, which the first layer does not need
    recipe = load_recipe("fcnn3d-cave-x4-short", ["data.crop=8", "data.batch_size=3"])
    bands, side = 31, 8
    layers = [  # out, in, bands x rows x columns of the kernel, a quarter of the features; then the rim that is left
        (16, 1, (7, 9, 9), (2, 4)),
        (8, 16, (1, 1, 1), (2, 4)),
        (2, 8, (1, 1, 1), (2, 4)),
        (1, 2, (3, 5, 5), (0, 0)),
    ]
    forward = [
        2 * out * inputs * kernel[0] * kernel[1] * kernel[2] * (bands + rim[0]) * (side + rim[1]) ** 2
        for out, inputs, kernel, rim in layers
    ]
    assert flops_per_step(recipe, phases_of(recipe)) == (3 * (3 * sum(forward) - forward[0]),)


def test_one_crop_times_the_batch_is_the_batch() -> None:
    recipe = load_recipe("awan-cave-short", ["data.crop=16", "data.batch_size=2", "model.features=8", "model.blocks=1"])
    system, options = network_options(recipe)
    net = create_model(system, **options)
    batch = random_batch(recipe, 16, 2)
    whole = flops_of(lambda: (net(batch["hr_msi"]) - batch["hr_hsi"]).abs().mean().backward())
    assert flops_per_step(recipe, phases_of(recipe))[0] == pytest.approx(whole["all"], rel=0.01)


def test_what_a_phase_fixes_is_trained_by_the_next() -> None:
    recipe = load_recipe("common-sr-ssr-cave-x4-short", ["data.crop=16"])
    whole = {**recipe["phase2"], "part": None}
    counted = flops_per_step(recipe, [recipe["phase1"], recipe["phase2"], whole])
    assert counted[2] == flops_per_step(recipe, [whole])[0]


def test_counting_leaves_random_numbers_alone() -> None:
    recipe = load_recipe("fcnn3d-cave-x4-short", ["data.crop=8"])
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    flops_per_step(recipe, phases_of(recipe))
    assert torch.equal(torch.rand(3), expected)


def test_phases_together_have_the_budget() -> None:
    recipe = load_recipe("common-sr-ssr-cave-x4-short")
    for flops in (1e12, 7e12):
        shorter = Budget("flops", flops).apply(recipe)
        steps = [shorter[key]["steps"] for key in ("phase1", "phase2")]
        assert steps[0] == steps[1]  # as in the recipe
        assert flops_of_training(shorter) == pytest.approx(flops, rel=0.5 / steps[0] + 1e-9)
    recipe = load_recipe("fcnn3d-cave-x4-short")
    steps = Budget("flops", 1e12).apply(recipe)["phase1"]["steps"]
    assert steps == round(1e12 / flops_per_step(recipe, phases_of(recipe))[0])


def test_cells_of_a_table_cost_the_same() -> None:
    request = request_cells(
        "table2",
        rows=["sr-ssr", "us3rn"],
        datasets=["cave"],
        split="val",
        scales=[4],
        recipes="short",
        budget="2e12flop",
    )
    assert stem_of(request) == "table2-val-short-2e+12flop"
    trained = [cell.recipe for cell in request.cells() if cell.recipe is not None]
    assert len(trained) == 2
    for recipe in trained:
        assert flops_of_training(recipe) == pytest.approx(2e12, rel=0.02)


def test_references_have_no_such_budget() -> None:
    with pytest.raises(fw.InputError, match="cost of a training with references"):
        Budget("flops", 1e12).apply(load_recipe("sschsr-cave-x4-short"))
