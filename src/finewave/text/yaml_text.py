"""YAML from anywhere: its parsers call themselves for every level, and one in C ends the process at some depth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finewave.errors import InputError

DEEPEST = 50
"""Levels of lists and mappings; recipes have five."""


def checked_text(path: Path) -> str:
    """Return the text of a YAML file.

    Raises
    ------
    InputError
        It cannot be read, is not YAML, or is nested more than `DEEPEST` levels deep.
    """
    import yaml

    depth = 0
    try:
        text = path.read_text(encoding="utf-8")
        for event in yaml.parse(text, Loader=yaml.SafeLoader):  # event by event, no level is a call
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise InputError(f"{path} cannot be read: its values are nested more than {DEEPEST} levels deep")
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    return text


def read_yaml(path: Path) -> Any:
    """Return the values of a YAML file; errors as of `checked_text`, and tags that are not YAML's own."""
    import yaml

    text = checked_text(path)
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: of a number that is too long
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
