"""``finewave models``: what systems and trained weights there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from finewave.cli.completion import choices
from finewave.cli.options import example
from finewave.cli.streams import json_option, note, print_json
from finewave.cli.table import table

if TYPE_CHECKING:
    from finewave.zoo.card import Card

TASKS = ("sssr", "sr", "ssr", "fusion", "refsr")  # those of finewave.systems.registry, for completion


@click.command(epilog=example("finewave models --task fusion"))
@click.option("--task", shell_complete=choices(*TASKS), help="Only those of one task: sssr, sr, ssr, fusion, refsr.")
@json_option
def models(task: str | None, as_json: bool) -> None:
    """List systems and their trained weights: those that came along, and those fetched from the Hub."""
    from finewave.systems.registry import SYSTEMS
    from finewave.zoo.bundled_weights import CARD, how_to_get_them, missing_weights, weight_folders
    from finewave.zoo.card import Card
    from finewave.zoo.hub import cached
    from finewave.zoo.listing import list_models

    names = list_models(task)
    shipped = {name: Card.read(folder / CARD) for name, folder in weight_folders().items()}
    cards = shipped | {name: Card.read(folder / CARD) for name, folder in cached().items()}
    of_system = {name: {which: card for which, card in cards.items() if card.system == name} for name in names}
    if as_json:
        return print_json([_facts(name, mine) for name, mine in of_system.items()])
    rows = []
    for name in names:
        system = SYSTEMS[name]
        mapping = f"{' + '.join(system.inputs)} -> {system.output}"
        without = "baseline: needs none" if system.baseline else "none"
        mine = of_system[name]
        rows.append((name, system.task, mapping, f"{_default_parameters(name):,}", "" if mine else without))
        rows.extend(("", "", "", f"{card.parameters:,}", which) for which, card in mine.items())
    click.echo(table(("name", "task", "inputs", "params", "trained weights"), rows, right=(3,)))
    if missing := missing_weights():
        note(f"not on this machine: weights {', '.join(missing)}; {how_to_get_them()}")
    return None


def _facts(name: str, cards: dict[str, Card]) -> dict[str, Any]:
    """Return what there is to say about a system."""
    from finewave.systems.registry import SYSTEMS

    system = SYSTEMS[name]
    told = ("scale", "sensor", "ms_bands", "wavelengths_nm", "parameters", "metrics", "licence")
    return {
        "name": name,
        "task": system.task,
        "inputs": system.inputs,
        "output": system.output,
        "parameters": _default_parameters(name),
        "baseline": system.baseline,
        "weights": [{"name": which, **{key: getattr(card, key) for key in told}} for which, card in cards.items()],
    }


def _default_parameters(name: str) -> int:
    """Count the parameters that a system has with its default arguments, without making any."""
    import torch

    from finewave.systems.registry import create_model

    with torch.device("meta"):
        return sum(p.numel() for p in create_model(name).parameters())
