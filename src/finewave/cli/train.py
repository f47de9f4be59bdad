"""``finewave train``."""

from __future__ import annotations

import click


@click.command(context_settings={"ignore_unknown_options": False})
@click.argument("recipe")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
def train(recipe: str, overrides: tuple[str, ...]) -> None:
    """Train a network; the same command resumes after a kill.

    RECIPE is a name in recipes/ or a YAML file. KEY=VALUE replaces a value of the recipe, for instance
    model.features=64.
    """
    from finewave.learning.recipes import load_recipe

    load_recipe(recipe, list(overrides))  # a typing error shows before Lightning is loaded
    from finewave.learning.training import train as run

    outcome = run(recipe, list(overrides))
    click.echo(f"trained: {outcome}")
