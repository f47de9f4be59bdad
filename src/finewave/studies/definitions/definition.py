"""Definition of studies: rows of systems, evaluated on data sets and scales by a protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from finewave.errors import unknown_name

Image = Literal["hr_hsi", "hr_msi", "lr_hsi"]


@dataclass(frozen=True)
class Row:
    """One row of a table: a system and changes to its recipe.

    Parameters
    ----------
    key, label : str
        Name for options and files; name in the table.
    system : str
        Of `finewave.systems.registry.SYSTEMS`.
    family : str or None
        First part of the names of the recipes that train it, ``"jssunet"`` for ``jssunet-cave-x4``; None for a
        baseline, which is only evaluated.
    overrides : tuple of str
        ``key=value`` on the recipe.
    options : mapping
        Of a baseline, for `create_model`.
    image : {"hr_hsi", "hr_msi", "lr_hsi"}
        Scored image: the output, or an intermediate image of a composition.
    post : bool
        False scores a network without the post-processing that it was trained with.
    """

    key: str
    label: str
    system: str
    family: str | None = None
    overrides: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    image: Image = "hr_hsi"
    post: bool = True


@dataclass(frozen=True)
class NotBuilt:
    """A row of a published table whose system is not in finewave; it has published numbers only.

    Parameters
    ----------
    key, name : str
        Name in the file of published numbers; name in the table.
    """

    key: str
    name: str
    family: None = None

    @property
    def label(self) -> str:
        """Name of the row in the table."""
        return f"{self.name}, not built"


@dataclass(frozen=True)
class Study:
    """A table as code.

    Parameters
    ----------
    name, title : str
        Of the command; above the table.
    source : str
        Publication and table.
    protocol : str
        Metrics with published numbers; others can be requested.
    rows : tuple of Row
        In the order of the table.
    datasets, scales : tuple
        Data sets of the publication that finewave has.
    first : str
        Heading of the column of row names.
    published : str or None
        File under ``published/`` with its numbers, see `finewave.studies.reports.published`.
    notes : str
        Printed under the table.
    not_built : tuple of NotBuilt
        Further lines of the published table, after those of ``rows``.
    """

    name: str
    title: str
    source: str
    protocol: str
    rows: tuple[Row, ...]
    datasets: tuple[str, ...] = ("cave",)
    scales: tuple[int, ...] = (4,)
    first: str = "method"
    published: str | None = None
    notes: str = ""
    not_built: tuple[NotBuilt, ...] = ()

    def choose(self, keys: tuple[str, ...]) -> tuple[Row, ...]:
        """Return the rows of the given keys in the order of the table; all without keys."""
        known = [row.key for row in self.rows]
        for key in keys:
            if key not in known:
                raise unknown_name(f"row of {self.name}", key, known)
        return tuple(row for row in self.rows if not keys or row.key in keys)


@dataclass(frozen=True)
class Figure:
    """A published figure: rows of a table on one scene.

    Parameters
    ----------
    name, title, source : str
        Of the command; above the figure; publication and figure.
    table : str
        Study that has the models.
    dataset, scale : str, int
        As published.
    scene : str or None
        As published, if known; used if the split has it.
    """

    name: str
    title: str
    source: str
    table: str
    dataset: str
    scale: int
    scene: str | None = None
