"""Published numbers, one file per table: ``dataset,scale,row`` and metrics named as in `finewave.metrics.METRICS`.

An asterisk as data set or scale: the publication does not say which.
"""

from __future__ import annotations

import csv
from pathlib import Path

from finewave.studies.dataset_facts import base_of

FOLDER = Path(__file__).parents[1] / "published"


def published_values(file: str | None) -> dict[tuple[str, int, str], dict[str, str]]:
    """Return the numbers of a file as printed, by data set, scale (0 for any) and row; ``"*"`` for any data set."""
    if file is None:
        return {}
    with (FOLDER / file).open(encoding="utf-8", newline="") as lines:
        return {
            (line.pop("dataset"), int(line.pop("scale").replace("*", "0")), line.pop("row")): dict(line)
            for line in csv.DictReader(lines)
        }


def published_row(
    values: dict[tuple[str, int, str], dict[str, str]], dataset: str, scale: int, row: str
) -> dict[str, str]:
    """Return the numbers of a row as printed; empty if there are none."""
    return values.get((base_of(dataset), scale, row)) or values.get(("*", 0, row)) or {}
