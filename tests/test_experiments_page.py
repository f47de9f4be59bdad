"""The table of published experiments: every one has a command that is valid, a result that is there or a reason."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from finewave.cli import main
from finewave.studies.dataset_facts import base_of
from finewave.studies.definitions.catalogue import FIGURES, STUDIES
from finewave.studies.study_request import request_cells
from finewave.training.configuration.recipes import load_recipe
from tests.test_docs import ROOT, parse, rows_of

PAGE = "docs/experiments.md"
ONE = "## One command for a data set in hand"
PAPERS = re.findall(r"^## (.*, .*)$", (ROOT / PAGE).read_text(encoding="utf-8"), re.MULTILINE)
ROWS = [row for paper in PAPERS for row in rows_of(PAGE, f"## {paper}")]


def words_of(cell: str) -> list[str]:
    return shlex.split(cell.strip("`"))[1:]


def experiment(cell: str) -> tuple[str, set[tuple[str, int]]]:
    """Return a study of a command and the data sets and scales that it makes."""
    words = words_of(cell)
    name, options = parse(main, words)
    figure = FIGURES.get(name)
    table = STUDIES[figure.table if figure else name]
    datasets = options["datasets"] or ((figure.dataset,) if figure else table.datasets)
    scales = options["scales"] or ((figure.scale,) if figure else table.scales)
    return name, {(dataset, scale) for dataset in datasets for scale in scales}


def test_four_papers() -> None:
    assert [paper.partition(",")[0] for paper in PAPERS] == ["JSSUNet", "SSPSR", "MulSR", "SSC-HSR"]


def test_every_command_is_one() -> None:
    commands = [row[1] for row in ROWS if row[1]] + [row[1] for row in rows_of(PAGE, ONE)]
    for command in commands:
        words = words_of(command)
        if words[0] == "train":
            load_recipe(words[1], words[2:])
        else:
            name, made = experiment(command)
            table = FIGURES[name].table if name in FIGURES else name
            for dataset, scale in made:
                cells = list(request_cells(table, datasets=[dataset], scales=[scale]).cells())
                assert all(cell.recipe is None or cell.recipe["data"]["dataset"] == dataset for cell in cells)


def test_every_published_table_and_figure_is_there() -> None:
    listed: dict[str, set[tuple[str, int]]] = {}
    for row in ROWS:
        if row[1].startswith("`finewave study"):
            name, made = experiment(row[1])
            listed.setdefault(name, set()).update(made)
    published = {name: study for name, study in STUDIES.items() if study.published}
    wanted = {
        **{name: {(d, s) for d in study.datasets for s in study.scales} for name, study in published.items()},
        **{name: {(figure.dataset, figure.scale)} for name, figure in FIGURES.items()},
    }
    assert {name: left for name, made in wanted.items() if (left := made - listed.get(name, set()))} == {}
    unbuilt = {each.label.removesuffix(", not built") for study in STUDIES.values() for each in study.not_built}
    lists = [row[0].removesuffix(" in these tables") for row in ROWS if row[3] == "not built"]
    told = {name for words in lists for name in words.split(", ")}
    assert told == unbuilt


def test_what_was_run_has_a_result_and_what_was_not_a_reason() -> None:
    cells = [path.name for path in (ROOT / "docs" / "results" / "cells").glob("*.json")]
    for experiment_name, command, run, reason in ROWS:
        assert reason in ("time", "data", "not built"), experiment_name
        if run != "no":
            assert re.search(r"\]\([^)]+\.md\)", run), experiment_name  # test_docs follows the links
            continue
        if command.startswith("`finewave study table"):
            name, made = experiment(command)
            assert not list((ROOT / "docs" / "results").glob(f"{name}-*.md")) or name == "table2"
            for dataset, scale in made - {("cave", 4)}:
                assert not [cell for cell in cells if cell.startswith(f"{dataset}-x{scale}-")], experiment_name
    for path in (ROOT / "docs" / "results").glob("table*.md"):
        assert any(f"(results/{path.name})" in row[2] for row in ROWS), path.name


def test_a_data_set_in_hand_is_one_command() -> None:
    """By a recipe whose data set it is."""
    for name, command in rows_of(PAGE, ONE):
        recipe = load_recipe(words_of(command)[1])
        assert base_of(recipe["data"]["dataset"]) == name.strip("`")


def test_the_page_names_each_weight_that_it_says_was_trained() -> None:
    log = (ROOT / "docs" / "trainings.md").read_text(encoding="utf-8")
    for row in ROWS:
        for recipe in re.findall(r"`([a-z0-9-]+-short)`", row[2]):
            assert f"`{recipe}`" in log
            assert Path(ROOT / "recipes" / f"{recipe}.yaml").is_file()
