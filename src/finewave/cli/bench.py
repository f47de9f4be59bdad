"""``finewave bench``: how fast, and in how much memory."""

from __future__ import annotations

import json
from pathlib import Path

import click

from finewave.cli.terminal.completion import systems_and_models
from finewave.cli.terminal.progress import Progress
from finewave.cli.terminal.shared_options import example
from finewave.cli.terminal.streams import print_json, working
from finewave.cli.terminal.table import table

STDOUT = Path("-")


@click.command(
    epilog=example("finewave bench jssunet-cave-x4 --only forward,train", "finewave bench --json > figures.json")
)
@click.argument("name", default="jssunet", shell_complete=systems_and_models)
@click.option(
    "--only",
    metavar="GROUP,...",
    help="peak, head, post, forward, train, growth, data, compile; of models their tasks; of scenes defaults, "
    "photograph, tiles, workers, large, larger.",
)
@click.option("--quick", is_flag=True, help="Small sizes: tests that everything runs, without meaningful figures.")
@click.option(
    "--json",
    "-o",
    "output",
    is_flag=False,
    flag_value=STDOUT,
    metavar="[FILE]",
    type=click.Path(path_type=Path),
    help="Write all figures to a JSON file; without FILE, or with -, print them instead of the tables.",
)
@click.option(
    "--add",
    "figures",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Add the figures to those of a JSON file, which keeps those of other kinds of processors.",
)
@click.option("--write", "page", type=click.Path(path_type=Path), help="Write the tables as a Markdown page.")
@click.option("--from", "source", type=click.Path(path_type=Path), help="Show an earlier run's JSON; measure nothing.")
def bench(
    name: str,
    only: str | None,
    quick: bool,
    output: Path | None,
    figures: Path | None,
    page: Path | None,
    source: Path | None,
) -> None:
    """Measure speed and memory of a network, and compare with its plain formulation.

    NAME is a system, trained weights, a folder or a .safetensors file; without, JSSUNet at its published size. "models"
    is one forward pass of each system, "scenes" are whole scenes through `finewave predict`. Each takes ten to twenty
    minutes on two processor cores, parts of it (--only, with --add) less; meaningful figures need an idle machine. The
    group "compile", a training step with torch.compile, runs only when --only names it. The measurements are not part
    of an installation, only of a clone of the repository.
    """
    from contextlib import ExitStack

    from finewave.io.atomic import atomic_output

    _find_benchmarks()
    from benchmarks.benchmark_report import machine_line, page_of, tables_of
    from benchmarks.cases import choose_groups
    from benchmarks.suite import added, read_run, run_suite

    groups = choose_groups(only, name)
    before = read_run(figures) if figures is not None and figures.exists() else None
    with ExitStack() as files:  # a missing folder shows before the work, not after
        json_file = files.enter_context(atomic_output(output)) if output not in (None, STDOUT) else None
        page_file = files.enter_context(atomic_output(page)) if page else None
        figures_file = files.enter_context(atomic_output(figures)) if figures else None
        if source:
            run = read_run(source)
        else:
            with working(as_json=output == STDOUT), Progress("bench") as progress:
                run = run_suite(name, groups, quick=quick, progress=progress)
        if before is not None:
            run = added(before, run)
        for file in filter(None, (json_file, figures_file)):
            file.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
        if page_file:
            page_file.write_text(page_of(run), encoding="utf-8")
    if output == STDOUT:
        return print_json(run)
    click.echo(machine_line(run))
    if not run["plain"]:
        click.echo("the plain formulations are not available (no tests/plain): ratios are omitted")
    for each in tables_of(run):
        click.echo(f"\n{each.title}")
        columns = [[row[i] for row in each.rows if row[i]] for i in range(len(each.header))]
        numbers = [i for i, cells in enumerate(columns) if all(cell[0].isdigit() for cell in cells)]
        click.echo(table(each.header, each.rows, right=numbers))
    for path in filter(None, (output, figures, page)):
        click.echo(f"written: {path}")
    return None


def _find_benchmarks() -> None:
    """Let ``benchmarks/`` of the checkout be imported."""
    import sys

    from finewave.errors import InputError
    from finewave.locations import checkout

    root = checkout()
    if root is None or not (root / "benchmarks" / "suite.py").is_file():
        raise InputError(
            "the benchmarks come with the repository, not with an installation: clone it, and pip install -e there"
        )
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
