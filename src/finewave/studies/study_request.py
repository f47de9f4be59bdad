"""Construction of a request from user input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from finewave.datasets.registry import get_dataset, list_datasets
from finewave.errors import unknown_name
from finewave.evaluation.protocols import get_protocol
from finewave.studies.budget import Budget
from finewave.studies.dataset_facts import at_hand
from finewave.studies.definitions.catalogue import get_study
from finewave.studies.experiment import RECIPE_SETS, RecipeSet, StudyRequest


def request_cells(
    name: str,
    datasets: Sequence[str] = (),
    scales: Sequence[int] = (),
    rows: Sequence[str] = (),
    split: str = "test",
    recipes: str = "published",
    budget: str = "published",
    protocol: str | None = None,
    seeds: int = 1,
) -> StudyRequest:
    """Return a request.

    Parameters
    ----------
    name : str
        Name of the study, see `finewave.studies.definitions.catalogue.STUDIES`.
    datasets : sequence of str
        Default: those of the publication that are prepared or in ``FINEWAVE_DATA``; all if there are none.
    scales : sequence of int
        Without, those of the publication.
    rows : sequence of str
        Keys; without, all.
    split, recipes, budget, protocol, seeds
        See `StudyRequest`; `Budget.parse` reads the budget, the protocol is the study's unless named.

    Raises
    ------
    InputError
        If a name does not exist; the message suggests the nearest one.
    """
    study = get_study(name)
    if recipes not in RECIPE_SETS:
        raise unknown_name("set of recipes", recipes, RECIPE_SETS)
    if not datasets:
        known = [dataset for dataset in study.datasets if dataset in list_datasets()]
        datasets = [dataset for dataset in known if at_hand(dataset)] or known
    for dataset in datasets:
        get_dataset(dataset)
    return StudyRequest(
        study,
        tuple(dict.fromkeys(datasets)),
        tuple(dict.fromkeys(scales or study.scales)),
        study.choose(tuple(rows)),
        split,
        get_protocol(protocol or study.protocol),
        Budget.parse(budget),
        cast(RecipeSet, recipes),
        seeds,
    )
