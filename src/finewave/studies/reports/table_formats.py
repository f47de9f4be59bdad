"""Tables as Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from finewave.io.atomic import atomic_output
from finewave.metrics import METRICS
from finewave.studies.budget import Budget
from finewave.studies.experiment import StudyRequest
from finewave.studies.reports.tables import Line, RowGroup, Table, Value

MISSING = "–"
LATEX = {
    "\\": r"\textbackslash{}",
    "_": r"\_",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "±": r"$\pm$",
    "–": "--",
    "°": r"$^\circ$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
}
LATEX.update({"$": r"\$", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"})


def stem_of(request: StudyRequest) -> str:
    """Return the name of a table's files: study, split, recipes, budget, and the protocol if not the study's own."""
    own = "" if request.protocol.name == request.study.protocol else f"-{request.protocol.name}"
    return f"{request.study.name}-{request.split}{own}-{request.recipes}-{slug(request.budget)}"


def write_table(table: Table, out: Path) -> list[Path]:
    """Write a table in all three forms; unchanged files are not rewritten."""
    out.mkdir(parents=True, exist_ok=True)
    forms: dict[str, Callable[[Table], str]] = {"md": markdown, "csv": comma_separated, "tex": latex}
    written = []
    for ending, form in forms.items():
        path, text = out / f"{stem_of(table.request)}.{ending}", form(table)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            with atomic_output(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def markdown(table: Table) -> str:
    """Return the table as Markdown: best in bold, second in italics."""
    marks = {1: "**{}**", 2: "*{}*"}
    lines = [f"# {table.request.study.title}", ""]
    for block in table.blocks:
        shown = _published(block, table.metrics)
        header = [table.request.study.first, *_heads(table.metrics), *(f"published {METRICS[m].label}" for m in shown)]
        lines += [f"## {_title(table, block)}", "", f"| {' | '.join(header)} |"]
        lines.append("|---|" + "---:|" * (len(header) - 1))
        for line in block.lines:
            cells = [
                marks.get(value.place or 0, "{}").format(value.text(m)) for m, value in _values(line, table.metrics)
            ]
            label = f"{line.row.label} [{line.mark}]" if line.mark else line.row.label
            cells = [label, *(cells or [MISSING] * len(table.metrics))]
            lines.append(f"| {' | '.join([*cells, *(line.published.get(m, '') for m in shown)])} |")
        lines.append("")
        tests = _tests(table, block)
        if tests:
            lines += ["The two best, paired by scene:", "", *(f"- {test}" for test in tests), ""]
    return "\n".join([*lines, "## Protocol", "", *(f"- {note}" for note in table.notes)]) + "\n"


def comma_separated(table: Table) -> str:
    """Return the table as CSV, one line for each row and metric, in full digits."""
    request = table.request
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header = ["study", "split", "protocol", "recipes", "budget", "dataset", "scale", "row", "metric"]
    writer.writerow([*header, "mean", "deviation", "seeds", "place", "published", "revision"])
    for block in table.blocks:
        for line in block.lines:
            for metric in table.metrics:
                value = line.values.get(metric)
                writer.writerow(
                    [
                        request.study.name,
                        request.split,
                        request.protocol.name,
                        request.recipes,
                        slug(request.budget),
                        block.dataset,
                        block.scale,
                        line.row.key,
                        metric,
                        "" if value is None else f"{value.mean:.6g}",
                        "" if value is None or value.deviation is None else f"{value.deviation:.3g}",
                        line.seeds,
                        "" if value is None or value.place is None else value.place,
                        line.published.get(metric, ""),
                        "; ".join(sorted(line.revisions)),
                    ]
                )
    return text.getvalue()


def latex(table: Table) -> str:
    """Return the table as LaTeX for the package booktabs: best in bold, second in italics."""
    marks = {1: r"\textbf{{{}}}", 2: r"\textit{{{}}}"}
    lines = ["% needs \\usepackage{booktabs}"]
    for block in table.blocks:
        shown = _published(block, table.metrics)
        arrows = [_tex(f"{METRICS[m].label} {METRICS[m].arrow}") for m in table.metrics]
        lines += [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_tex(table.request.study.title)}: {_tex(_title(table, block))}}}",
            rf"\begin{{tabular}}{{l{'r' * len(table.metrics)}{'r' * len(shown)}}}",
            r"\toprule",
        ]
        if shown:
            first, last = len(table.metrics) + 2, len(table.metrics) + 1 + len(shown)
            lines.append(
                rf" & \multicolumn{{{len(table.metrics)}}}{{c}}{{ours}} & "
                rf"\multicolumn{{{len(shown)}}}{{c}}{{published}} \\ \cmidrule(lr){{2-{first - 1}}} "
                rf"\cmidrule(lr){{{first}-{last}}}"
            )
        header = [_tex(table.request.study.first), *arrows, *(_tex(METRICS[m].label) for m in shown)]
        lines += [rf"{' & '.join(header)} \\", r"\midrule"]
        for line in block.lines:
            cells = [
                marks.get(value.place or 0, "{}").format(_tex(value.text(m)))
                for m, value in _values(line, table.metrics)
            ]
            mark = rf"\textsuperscript{{{line.mark}}}" if line.mark else ""
            cells = [_tex(line.row.label) + mark, *(cells or [_tex(MISSING)] * len(table.metrics))]
            lines.append(rf"{' & '.join([*cells, *(line.published.get(m, '') for m in shown)])} \\")
        lines += [r"\bottomrule", r"\end{tabular}", r"\par\footnotesize"]
        lines += [rf"{_tex(test)}." for test in _tests(table, block)]
        lines += [rf"{_tex(note)}" + ("" if note.endswith(".") else ".") for note in table.notes]
        lines += [r"\end{table}", ""]
    return "\n".join(lines)


def document(table: Table) -> dict[str, Any]:
    """Return the table for JSON: every figure unrounded, published ones as printed."""
    request = table.request
    return {
        "study": request.study.name,
        "title": request.study.title,
        "source": request.study.source,
        "split": request.split,
        "recipes": request.recipes,
        "budget": slug(request.budget),
        "protocol": request.protocol.as_dict(),
        "metrics": list(table.metrics),
        "blocks": [
            {
                "dataset": block.dataset,
                "scale": block.scale,
                "scenes": block.scenes,
                "rows": [_row(line) for line in block.lines],
            }
            for block in table.blocks
        ],
        "notes": list(table.notes),
    }


def _row(line: Line) -> dict[str, Any]:
    values = {key: {"mean": value.mean, "deviation": value.deviation} for key, value in line.values.items()}
    return {
        "key": line.row.key,
        "label": line.row.label,
        "seeds": line.seeds,
        "values": values,
        "published": dict(line.published),
    }


def _heads(metrics: tuple[str, ...]) -> list[str]:
    return [f"{METRICS[metric].label} {METRICS[metric].arrow}" for metric in metrics]


def _title(table: Table, block: RowGroup) -> str:
    scenes = f", {block.scenes} scene{'' if block.scenes == 1 else 's'}" if block.scenes else ""
    return f"{block.dataset}, x{block.scale}, split {table.request.split}{scenes}"


def _values(line: Line, metrics: tuple[str, ...]) -> list[tuple[str, Value]]:
    return [(metric, line.values[metric]) for metric in metrics if metric in line.values]


def _published(block: RowGroup, metrics: tuple[str, ...]) -> list[str]:
    """Return the metrics that any row of a block has published figures of."""
    return [metric for metric in metrics if any(metric in line.published for line in block.lines)]


def _tests(table: Table, block: RowGroup) -> list[str]:
    """Return the comparisons of a block as text."""
    words = []
    for metric, (first, second, test) in block.tests(table.metrics).items():
        values = [
            f"{name} p = {p:.2g}" for name, p in (("Wilcoxon", test.wilcoxon), ("paired t", test.t)) if p is not None
        ]
        size = METRICS[metric].with_unit(f"{abs(test.difference):.2g}")
        words.append(
            f"{METRICS[metric].label}: {first.row.label} before {second.row.label} by {size} on {test.scenes} scenes; "
            f"{', '.join([*values, test.verdict])}"
        )
    return words


def slug(budget: Budget) -> str:
    """Return a budget as part of a file's name."""
    units = {"published": "published", "fraction": "part", "steps": "steps", "pixels": "px", "flops": "flop"}
    return "published" if budget.kind == "published" else f"{budget.value:g}{units[budget.kind]}"


def _tex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)
