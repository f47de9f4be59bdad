"""``finewave models``: lists systems and trained weights, without loading PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from finewave.cli.terminal.completion import choices, systems_and_models
from finewave.cli.terminal.shared_options import example
from finewave.cli.terminal.streams import json_option, note, print_json
from finewave.cli.terminal.table import table

if TYPE_CHECKING:
    from finewave.zoo.card import Card

TASKS = ("sssr", "sr", "ssr", "fusion", "refsr")  # those of finewave.systems.registry, for completion
_OF_USE = ("parameters", "sensor", "scale", "ms_bands", "wavelengths_nm", "metrics", "licence")
_LONG = ("config", "recipe", "data", "metrics", "sha256", "format_version")


@click.command(epilog=example("finewave models --task fusion", "finewave models jssunet-cave-x4"))
@click.argument("name", required=False, shell_complete=systems_and_models)
@click.option("--task", shell_complete=choices(*TASKS), help="Only those of one task: sssr, sr, ssr, fusion, refsr.")
@json_option
def models(name: str | None, task: str | None, as_json: bool) -> None:
    """List systems and their trained weights: bundled ones, and those downloaded from the Hub.

    With NAME the card of one set of weights: sensor, bands, scale, data, figures, licence.
    """
    from finewave.zoo.distribution.bundled_weights import how_to_get_them, missing_weights
    from finewave.zoo.distribution.listing import list_models

    names, cards = list_models(task), _cards()
    if name is not None:
        return _show(name, cards, as_json)
    of_system = {each: {which: card for which, card in cards.items() if card.system == each} for each in names}
    if as_json:
        return print_json([_facts(each, mine) for each, mine in of_system.items()])
    click.echo(table(("name", "task", "sensor", "scale", "bands", "params", "score"), _rows(of_system), right=(3, 5)))
    if missing := missing_weights():
        note(f"not on this machine: weights {', '.join(missing)}; {how_to_get_them()}")
    return None


def _cards() -> dict[str, Card]:
    """Return the cards of all available weights by name."""
    from finewave.zoo.card import Card
    from finewave.zoo.distribution.bundled_weights import CARD, weight_folders
    from finewave.zoo.distribution.hub import cached

    return {name: Card.read(folder / CARD) for name, folder in (weight_folders() | cached()).items()}


def _rows(of_system: dict[str, dict[str, Card]]) -> list[tuple[str, ...]]:
    """Return a row for each system, and one below it for each of its weights."""
    from finewave.systems.registry import SYSTEMS

    rows: list[tuple[str, ...]] = []
    for name, cards in of_system.items():
        system = SYSTEMS[name]
        mapping = f"{' + '.join(system.inputs)} -> {system.output}"
        without = "needs no weights" if system.baseline else "" if cards else "no weights"
        rows.append((name, system.task, mapping, "", "", "", without))
        for which, card in cards.items():
            scale = "" if card.task == "ssr" else str(card.scale)
            rows.append(
                (f"  {which}", "", card.sensor or "", scale, _bands(card), f"{card.parameters:,}", card.main_score)
            )
    return rows


def _bands(card: Card) -> str:
    """Return how many bands weights turn into how many, and where these lie."""
    wavelengths = card.wavelengths_nm or []
    made = f"{len(wavelengths)} ({min(wavelengths):g}-{max(wavelengths):g} nm)" if wavelengths else ""
    return f"{len(card.ms_bands)} -> {made}" if card.ms_bands and card.task in ("sssr", "ssr") else made


def _show(name: str, cards: dict[str, Card], as_json: bool) -> None:
    """Print a card, or the facts about a system."""
    import json

    from finewave.errors import unknown_name
    from finewave.systems.registry import SYSTEMS

    if name in cards:
        card = cards[name]
        facts: dict[str, Any] = json.loads(card.to_json())
        if as_json:
            return print_json(facts)
        facts = {"name": name, "bands": _bands(card), **{k: v for k, v in facts.items() if k not in _LONG}}
        facts["dataset"] = (card.data or {}).get("dataset")
        for protocol, figures in (card.metrics or {}).items():
            facts[f"on {protocol}"] = _figures(figures)
    elif name in SYSTEMS:
        facts = _facts(name, {which: card for which, card in cards.items() if card.system == name})
        if as_json:
            return print_json(facts)
        facts["weights"] = ", ".join(each["name"] for each in facts["weights"]) or "none"
    else:
        raise unknown_name("model", name, [*cards, *SYSTEMS])
    shown = {key.replace("_", " "): _text(value) for key, value in facts.items() if value not in (None, "", [])}
    width = max(map(len, shown))
    click.echo("\n".join(f"{key:<{width}}  {text}" for key, text in shown.items()))
    return None


def _figures(figures: Any) -> str:
    mean = figures.get("mean") if isinstance(figures, dict) else None
    if not isinstance(mean, dict):
        return _text(figures)
    return ", ".join(f"{key} {value:.4g}" for key, value in mean.items() if isinstance(value, (int, float)))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(each)}" for key, each in value.items())
    if isinstance(value, list):
        texts = [_text(each) for each in value]
        return ", ".join(texts if len(texts) <= 12 else [*texts[:3], "...", *texts[-2:]])
    return f"{value:g}" if isinstance(value, float) else str(value)


def _facts(name: str, cards: dict[str, Card]) -> dict[str, Any]:
    """Return the facts about a system."""
    from finewave.systems.registry import SYSTEMS

    system = SYSTEMS[name]
    return {
        "name": name,
        "task": system.task,
        "inputs": list(system.inputs),
        "output": system.output,
        "baseline": system.baseline,
        "weights": [{"name": which, **{key: getattr(card, key) for key in _OF_USE}} for which, card in cards.items()],
    }
