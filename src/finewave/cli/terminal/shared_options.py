"""Options that more than one command has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

MOST = 2**31 - 1
"""Largest count of an option: beyond it libraries overflow."""
COUNT = click.IntRange(1, MOST)
PROCESSES = click.IntRange(1, 1024)
PIXEL = click.IntRange(-MOST, MOST)


def example(*lines: str) -> str:
    """Return the epilog of a command's help: example commands."""
    return "\b\n" + "\n".join(["Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)])


def precision_option(default: str) -> Callable[[Any], Any]:
    """Return ``--precision``; the names are those of `finewave.zoo.precision`, which would load PyTorch."""
    return click.option(
        "--precision",
        type=click.Choice(["auto", "float32", "bfloat16"]),
        default=default,
        show_default=True,
        help="Arithmetic inside the network; auto is bfloat16 where the processor has it.",
    )


def pooling_option(default: str | None, by_default: str = "") -> Callable[[Any], Any]:
    """Return ``--pooling``; the names are those of `finewave.zoo.model`, which would load PyTorch.

    ``by_default`` describes what None stands for.
    """
    return click.option(
        "--pooling",
        type=click.Choice(["image", "local"]),
        default=default,
        show_default=default is not None,
        help=f"Channel attention's means: over the image, or over windows of the training crop's size.{by_default}",
    )


def numbers_or_file(text: str | None) -> list[float] | str | None:
    """Return wavelengths from ``"490, 560"``; anything else names a file."""
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return text


def numbers_or_names(text: str | None) -> list[float | str] | None:
    """Return bands from ``"490, 560"`` or ``"B2,B3"``: wavelengths if they are numbers, otherwise names."""
    if text is None:
        return None
    bands: list[float | str] = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        try:
            bands.append(float(part))
        except ValueError:
            bands.append(part)
    return bands


def refuse_with_folds(*options: str) -> None:
    """Refuse options that are given beside --folds, which decide them: an `InputError`."""
    from finewave.errors import InputError

    context = click.get_current_context()
    for option in options:
        if context.get_parameter_source(option) is ParameterSource.COMMANDLINE:
            raise InputError(f"--{option} has no meaning with --folds, which are of train and val, in float32")
