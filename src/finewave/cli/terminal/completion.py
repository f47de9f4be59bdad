"""Shell completion of names, and ``finewave completion``, which prints the shell's script.

Names are listed without loading PyTorch, so that completion is fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from finewave.cli.terminal.shared_options import example

if TYPE_CHECKING:
    from finewave.studies.definitions.definition import Study

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog=example(
        "finewave completion bash > ~/.local/share/bash-completion/completions/finewave",
        "finewave completion fish > ~/.config/fish/completions/finewave.fish",
        "finewave completion zsh >> ~/.zshrc",
    )
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that completes commands, options and names in SHELL.

    Models, baselines, recipes and their keys, data sets, sensors, rows of studies and files are completed.
    """
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root()
    class_ = get_completion_class(shell)
    assert class_ is not None
    click.echo(class_(root.command, {}, "finewave", "_FINEWAVE_COMPLETE").source())


def choices(*names: str) -> Complete:
    """Return the completion of fixed names."""
    return lambda context, parameter, incomplete: _names(names, incomplete)


def model_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete trained weights, by name or as a file or folder."""
    from finewave.zoo.distribution.bundled_weights import weight_folders

    return _names(weight_folders(), incomplete) or _files(incomplete)


def baselines_and_models(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete models that can be evaluated: trained weights, and baselines."""
    from finewave.systems.registry import SYSTEMS
    from finewave.zoo.distribution.bundled_weights import weight_folders

    baselines = [name for name, system in SYSTEMS.items() if system.baseline]
    return _names([*weight_folders(), *baselines], incomplete) or _files(incomplete)


def systems_and_models(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete systems and trained weights."""
    from finewave.systems.registry import SYSTEMS
    from finewave.zoo.distribution.bundled_weights import weight_folders

    return _names([*SYSTEMS, *weight_folders()], incomplete) or _files(incomplete)


def dataset_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete data sets, custom ones included."""
    from finewave.datasets.registry import list_datasets

    return _names(list_datasets(), incomplete)


def datasets_and_files(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete data sets, and files of custom ones."""
    return dataset_names(context, parameter, incomplete) or _files(incomplete)


def sensor_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete sensors and CSV files."""
    from finewave.physics.sensors import list_sensors

    return _names(list_sensors(), incomplete) or _files(incomplete)


def recipe_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete included recipes, and YAML files."""
    from finewave.training.configuration.recipes import list_recipes

    return _names(list_recipes(), incomplete) or _files(incomplete)


def recipe_keys(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete keys of the recipe on the line, up to their ``=``."""
    from finewave.errors import InputError
    from finewave.training.configuration.recipes import list_keys

    with suppress(InputError):
        return _names((f"{key}=" for key in list_keys(context.params.get("recipe") or "")), incomplete)
    return []


def output_formats(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete extensions that files can be written with."""
    from finewave.io.open_save import FORMATS

    return _names((extension for each in FORMATS for extension in each.extensions), incomplete)


def study_rows(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the rows of the study on the line."""
    study = _study_of(context)
    return _names((row.key for row in study.rows), incomplete) if study else []


def study_scales(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the published scales of the study on the line."""
    study = _study_of(context)
    return _names(map(str, study.scales), incomplete) if study else []


def protocol_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete protocols."""
    from finewave.evaluation.protocols import PROTOCOLS

    return _names(PROTOCOLS, incomplete)


def _study_of(context: click.Context) -> Study | None:
    from finewave.studies.definitions.catalogue import FIGURES, STUDIES

    name = context.info_name or ""
    return STUDIES.get(FIGURES[name].table if name in FIGURES else name)


def _names(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Return the names that start with the word."""
    return [CompletionItem(name) for name in dict.fromkeys(names) if name.startswith(incomplete)]


def _files(incomplete: str) -> list[CompletionItem]:
    """Let the shell complete a file."""
    return [CompletionItem(incomplete, type="file")]
