"""The studies by name."""

from __future__ import annotations

from finewave.errors import unknown_name
from finewave.studies.definition import Figure, Study
from finewave.studies.jssunet_tables import FIGURES as JSSUNET_FIGURES
from finewave.studies.jssunet_tables import TABLES as JSSUNET
from finewave.studies.other_systems import TABLES as OTHERS

STUDIES: dict[str, Study] = {study.name: study for study in (*JSSUNET, *OTHERS)}


FIGURES: dict[str, Figure] = {figure.name: figure for figure in JSSUNET_FIGURES}


def get_study(name: str) -> Study:
    """Return a study by name; an `InputError` suggests the nearest name for an unknown one."""
    if name not in STUDIES:
        raise unknown_name("study", name, STUDIES)
    return STUDIES[name]
