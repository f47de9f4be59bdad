"""``finewave models``: what systems and trained weights there are."""

from __future__ import annotations

import click

from finewave.cli.table import table


@click.command()
def models() -> None:
    """List systems and their trained weights: those that came along, and those fetched from the Hub."""
    from finewave.models.card import Card
    from finewave.models.hub import cached
    from finewave.models.registry import SYSTEMS, list_models
    from finewave.models.shelf import CARD, weight_folders

    shipped = {name: Card.read(folder / CARD) for name, folder in weight_folders().items()}
    cards = shipped | {name: Card.read(folder / CARD) for name, folder in cached().items()}
    rows = []
    for name in list_models():
        system = SYSTEMS[name]
        mapping = f"{' + '.join(system.inputs)} -> {system.output}"
        without = "baseline: needs none" if system.baseline else "none"
        mine = {which: card for which, card in cards.items() if card.system == name}
        rows.append((name, system.task, mapping, f"{_default_parameters(name):,}", "" if mine else without))
        rows.extend(("", "", "", f"{card.parameters:,}", which) for which, card in mine.items())
    click.echo(table(("name", "task", "inputs", "params", "trained weights"), rows, right=(3,)))


def _default_parameters(name: str) -> int:
    """Count the parameters that a system has with its default arguments, without making any."""
    import torch

    from finewave.models.registry import create_model

    with torch.device("meta"):
        return sum(p.numel() for p in create_model(name).parameters())
