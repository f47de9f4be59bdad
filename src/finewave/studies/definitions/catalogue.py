"""The studies by name: finewave's, and those of other packages by their entry points."""

from __future__ import annotations

import importlib.metadata
import warnings
from dataclasses import replace
from typing import TypeVar

from finewave.errors import unknown_name
from finewave.studies.definitions.definition import Figure, Row, Study
from finewave.studies.definitions.jssunet_tables import FIGURES as JSSUNET_FIGURES
from finewave.studies.definitions.jssunet_tables import TABLES as JSSUNET
from finewave.studies.definitions.other_systems import TABLES as OTHERS
from finewave.warnings import FinewaveWarning

_Kind = TypeVar("_Kind", Study, Row)

PLUGINS = "finewave.studies"
"""Group of entry points by which other packages add a `Study`, or a `Row` to one: ``finewave.studies.<study>``."""

STUDIES: dict[str, Study] = {study.name: study for study in (*JSSUNET, *OTHERS)}

FIGURES: dict[str, Figure] = {figure.name: figure for figure in JSSUNET_FIGURES}

COMMANDS = ("anchors", "benchmark", "consistency", "merge", "robustness")
"""Other commands of ``finewave study``, after which no study is named."""


def add_plugins(studies: dict[str, Study]) -> None:
    """Add the studies and rows of other packages.

    What cannot be loaded, is of another kind or has a name that is in use is left out with a warning: a package that is
    broken must not stop the studies of others.
    """
    for point in importlib.metadata.entry_points(group=PLUGINS):
        found = _loaded(point, Study)
        if found is not None and found.name not in (*studies, *FIGURES, *COMMANDS):
            studies[found.name] = found
        elif found is not None:
            _warn(f"the study {found.name!r} of {point.value} is ignored: the name is already in use; choose another")
    for name in list(studies):
        for point in importlib.metadata.entry_points(group=f"{PLUGINS}.{name}"):
            row = _loaded(point, Row)
            if row is not None and row.key not in [each.key for each in studies[name].rows]:
                studies[name] = replace(studies[name], rows=(*studies[name].rows, row))
            elif row is not None:
                _warn(f"the row {row.key!r} of {point.value} is ignored: {name} has one of that key; choose another")


def _loaded(point: importlib.metadata.EntryPoint, kind: type[_Kind]) -> _Kind | None:
    """Return what an entry point names."""
    try:
        found = point.load()
    except Exception as error:  # any of the other package's
        cause = f"{type(error).__name__}: {error}"
        _warn(f"the entry point {point.group}: {point.value} is ignored: {cause}; check the package that has it")
        return None
    if isinstance(found, kind):
        return found
    wrong = f"it is not a {kind.__name__}"
    _warn(f"the entry point {point.group}: {point.value} is ignored: {wrong}; check the package that has it")
    return None


def _warn(message: str) -> None:
    warnings.warn(message, FinewaveWarning, stacklevel=4)


add_plugins(STUDIES)


def get_study(name: str) -> Study:
    """Return a study by name; an `InputError` suggests the nearest name for an unknown one."""
    if name not in STUDIES:
        raise unknown_name("study", name, STUDIES)
    return STUDIES[name]
