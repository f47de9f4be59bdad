"""A study's table, computed from its cells: values, best ones and notes."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finewave.errors import InputError
from finewave.evaluation.statistics import PairedTest, mean_and_deviation, paired_test
from finewave.metrics import METRICS
from finewave.studies.definitions.definition import NotBuilt, Row
from finewave.studies.experiment import OF_THE_TABLE, RECIPE_SETS, StudyRequest
from finewave.studies.reports.published import published_row, published_values
from finewave.studies.results import find_result
from finewave.training.configuration.recipe_sources import label


@dataclass(frozen=True)
class Value:
    """A value: mean over images, then over seeds, with the standard deviation over seeds."""

    mean: float
    deviation: float | None = None
    place: int | None = None  # 1: best, 2: second; by printed value, so that equal numbers rank equally

    def text(self, metric: str) -> str:
        """Return it as printed."""
        if math.isnan(self.mean):
            return "n/a"
        digits = METRICS[metric].decimals
        spread = "" if self.deviation is None else f" ± {self.deviation:.{digits}f}"
        return f"{self.mean:.{digits}f}{spread}"


@dataclass
class Line:
    """One row of a table.

    Attributes
    ----------
    row : Row or NotBuilt
    values : dict of str to Value
        By metric; empty if the cell is missing.
    scenes : dict of str to dict of str to float
        For each metric the value of each scene, a mean over its crops and the seeds.
    published : dict of str to str
        By metric, as printed there.
    seeds : int
        Number of seeds.
    mark : str
        Of the note on the revision that made it.
    """

    row: Row | NotBuilt
    values: dict[str, Value] = field(default_factory=dict)
    scenes: dict[str, dict[str, float]] = field(default_factory=dict)
    published: dict[str, str] = field(default_factory=dict)
    seeds: int = 0
    revisions: frozenset[str] = frozenset()
    mark: str = ""


@dataclass
class RowGroup:
    """The rows of one data set at one scale."""

    dataset: str
    scale: int
    lines: list[Line]
    scenes: int = 0

    def tests(self, metrics: tuple[str, ...]) -> dict[str, tuple[Line, Line, PairedTest]]:
        """Return for each metric the two best rows and their comparison; empty if fewer have values."""
        results = {}
        for metric in metrics:
            present = [line for line in self.lines if line.values and not math.isnan(line.values[metric].mean)]
            present.sort(key=lambda line: line.values[metric].mean, reverse=METRICS[metric].higher_is_better)
            if len(present) >= 2:
                a, b = present[:2]
                names = [name for name in a.scenes[metric] if name in b.scenes[metric]]
                test = paired_test([a.scenes[metric][n] for n in names], [b.scenes[metric][n] for n in names])
                results[metric] = (a, b, test)
        return results


@dataclass
class Table:
    """All blocks of a request, and the notes under them."""

    request: StudyRequest
    metrics: tuple[str, ...]
    blocks: list[RowGroup]
    notes: list[str]


def build_table(request: StudyRequest, out: Path) -> Table:
    """Return the table of a request's existing cells.

    Raises
    ------
    InputError
        If a cell is damaged or does not match its name, or cells of one block use different data.
    """
    metrics = request.protocol.metrics
    printed = published_values(request.study.published)
    blocks = []
    for dataset in request.datasets:
        for scale in request.scales:
            lines = []
            data: dict[str, Any] = {}
            for row in request.rows:
                results = []
                for number in range(request.seeds if row.family else 1):
                    result = find_result(out, request.cell(row, dataset, scale, number))
                    if result is not None:
                        _same_data(data, result, row)
                        results.append(result)
                lines.append(_line(row, results, metrics, published_row(printed, dataset, scale, row.key)))
            _rank(lines, metrics)
            if request.rows == request.study.rows:  # no rows were selected
                lines += [
                    Line(row, published=published_row(printed, dataset, scale, row.key))
                    for row in request.study.not_built
                ]
            blocks.append(RowGroup(dataset, scale, lines, len(data.get("scenes", ()))))
    return Table(request, metrics, blocks, _notes(request, blocks))


def _line(row: Row, results: list[dict[str, Any]], metrics: tuple[str, ...], published: dict[str, str]) -> Line:
    line = Line(row, published=published, seeds=len(results))
    if not results:
        return line
    for metric in metrics:
        line.values[metric] = Value(*mean_and_deviation([result["mean"][metric] for result in results]))
        scenes: dict[str, list[float]] = {}
        for result in results:
            for name, values in result["images"].items():
                scenes.setdefault(name.partition("[")[0], []).append(values[metric])
        line.scenes[metric] = {name: sum(values) / len(values) for name, values in scenes.items()}
    line.revisions = frozenset(_revision(result) for result in results)
    return line


def _same_data(data: dict[str, Any], result: dict[str, Any], row: Row) -> None:
    """Raise an error if cells of one block use scenes with different values."""
    scenes = result["scenes_sha256"]
    if data.setdefault("scenes", scenes) != scenes:
        different = sorted(name for name in {*scenes, *data["scenes"]} if scenes.get(name) != data["scenes"].get(name))
        raise InputError(
            f"the cell of {row.key} was scored on other data than the cells above it (different: "
            f"{', '.join(different)}); they cannot stand in one table: remove those of one kind"
        )


def _rank(lines: list[Line], metrics: tuple[str, ...]) -> None:
    """Mark the best and the second by printed value; nothing is marked in a single row."""
    for metric in metrics:
        shown = {
            id(line): round(line.values[metric].mean, METRICS[metric].decimals)
            for line in lines
            if line.values and not math.isnan(line.values[metric].mean)
        }
        order = sorted(set(shown.values()), reverse=METRICS[metric].higher_is_better)
        if len(shown) < 2:
            continue
        for line in lines:
            if id(line) in shown and (place := order.index(shown[id(line)]) + 1) <= 2:
                value = line.values[metric]
                line.values[metric] = Value(value.mean, value.deviation, place)


def _labels(request: StudyRequest) -> dict[str, str]:
    """Return notes about each recipe beyond table and protocol, by name, in order."""
    names = {cell.recipe_name for cell in request.cells() if cell.recipe_name}
    return {name: label(name, aside=OF_THE_TABLE) for name in sorted(names)}


def _revision(result: dict[str, Any]) -> str:
    """Return version and commit of a cell, as text."""
    commits = [commit for commit in (result["commit"]["training"], result["commit"]["scoring"]) if commit]
    return f"finewave {result['finewave']}" + (f" ({', '.join(dict.fromkeys(commits))})" if commits else "")


def _notes(request: StudyRequest, blocks: list[RowGroup]) -> list[str]:
    """Return the notes under the table, and mark rows computed by another revision."""
    study = request.study
    notes = [f"{study.source}; {request.protocol.text}"]
    trained = any(row.family for row in request.rows)
    if trained:
        recipes = sorted({cell.recipe_name for cell in request.cells() if cell.recipe_name})
        notes.append(f"recipes {RECIPE_SETS[request.recipes]}: {', '.join(recipes)}; training {request.budget}")
        if request.recipes == "published":
            notes += [f"{recipe}: {words}" for recipe, words in _labels(request).items()]
        if request.split == "val":
            notes.append("trained weights were chosen by PSNR on these same scenes, which flatters them a little")
        if request.seeds > 1:
            notes.append(f"mean ± standard deviation over {request.seeds} seeds of the training")
    lines = [line for block in blocks for line in block.lines]
    counts = Counter(revision for line in lines for revision in line.revisions)
    if counts:
        main = counts.most_common(1)[0][0]
        notes.append(f"made by {main}")
        marks: dict[str, str] = {}
        for line in lines:
            others = sorted(line.revisions - {main})
            for other in others:
                marks.setdefault(other, str(len(marks) + 1))
            line.mark = ",".join(marks[other] for other in others)
        notes.extend(f"[{mark}] by another revision: {other}" for other, mark in marks.items())
    for line in lines:
        if line.values and line.row.family and line.seeds < request.seeds:
            notes.append(f"{line.row.label}: {line.seeds} of {request.seeds} seeds")
    if any(not line.values and isinstance(line.row, Row) for line in lines):
        notes.append("–: not made")
    if any(line.published for line in lines):
        own = "" if request.protocol.name == study.protocol else f", by the protocol {study.protocol}"
        notes.append(
            f"published: {study.source}{own}; its scenes are not the {request.split} scenes of this table, so "
            "that only differences within a column compare"
        )
    notes += [note for block in blocks for note in _floor_note(block, request.protocol.metrics[0])]
    if study.notes:
        notes.append(study.notes)
    return notes


def _floor_note(block: RowGroup, metric: str) -> list[str]:
    """Name the best row without a network, which every other one should beat, and the rows that do not."""
    made = [line for line in block.lines if line.values and not math.isnan(line.values[metric].mean)]
    sign = 1 if METRICS[metric].higher_is_better else -1
    baselines = [line for line in made if isinstance(line.row, Row) and line.row.family is None]
    if not baselines:
        return []
    floor = max(baselines, key=lambda line: sign * line.values[metric].mean)
    below = [
        line.row.label
        for line in made
        if line not in baselines and sign * line.values[metric].mean < sign * floor.values[metric].mean
    ]
    count = "the only row" if len(baselines) == 1 else f"by {METRICS[metric].label} the best of {len(baselines)} rows"
    words = f"below it: {', '.join(below)}" if below else "no row is below it"
    return [f"floor on {block.dataset} x{block.scale}: {floor.row.label}, {count} without a network; {words}"]
