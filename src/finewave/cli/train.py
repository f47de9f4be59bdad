"""``finewave train``."""

from __future__ import annotations

import click

from finewave.cli.terminal.completion import recipe_keys, recipe_names
from finewave.cli.terminal.shared_options import example
from finewave.cli.terminal.streams import json_option, note, print_json, working
from finewave.extras import check_extra
from finewave.process.allocator import keep_freed_memory


@click.command(epilog=example("finewave train jssunet-cave-x4-short model.features=32 out=runs/narrow"))
@click.argument("recipe", shell_complete=recipe_names)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=recipe_keys)
@click.option(
    "--log",
    "services",
    type=click.Choice(("mlflow", "wandb")),
    multiple=True,
    help="Log there too, beside the files of CSV and TensorBoard in the output folder.",
)
@json_option
def train(recipe: str, overrides: tuple[str, ...], services: tuple[str, ...], as_json: bool) -> None:
    """Train a network; the same command resumes after a kill.

    RECIPE is a name in recipes/ or a YAML file. KEY=VALUE replaces a value of the recipe, for instance
    model.features=64.
    """
    check_extra("train", "finewave train")
    from finewave.training.configuration.recipes import load_recipe

    config = load_recipe(recipe, list(overrides))  # a typing error shows before Lightning is loaded
    from finewave.training.configuration.recipe_sources import label
    from finewave.training.trainer import train as run

    keep_freed_memory()
    if not as_json:
        note(f"recipe {recipe}: {label(recipe, overrides, values=config)}")
    with working(as_json):
        outcome = run(config, services=services)
    if as_json:
        from finewave.zoo.card import Card
        from finewave.zoo.distribution.bundled_weights import CARD

        return print_json({"model": outcome, "metrics": Card.read(outcome / CARD).metrics})
    return click.echo(f"trained: {outcome}")
