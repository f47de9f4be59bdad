"""The studies by name."""

from __future__ import annotations

from finewave.errors import unknown_name
from finewave.studies.jssunet import TABLES as JSSUNET
from finewave.studies.other_systems import TABLES as OTHERS
from finewave.studies.study import Study

STUDIES: dict[str, Study] = {study.name: study for study in (*JSSUNET, *OTHERS)}


def get_study(name: str) -> Study:
    """Return a study by name; an unknown one is an `InputError` that names the nearest."""
    if name not in STUDIES:
        raise unknown_name("study", name, STUDIES)
    return STUDIES[name]
