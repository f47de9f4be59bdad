"""``finewave study``: published tables made again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from finewave.cli.study_anchors import anchors
from finewave.cli.study_consistency import consistency
from finewave.cli.terminal.completion import choices, dataset_names, protocol_names, study_rows, study_scales
from finewave.cli.terminal.shared_options import COUNT, PROCESSES, example
from finewave.cli.terminal.streams import json_option, note, print_json, working
from finewave.process.allocator import keep_freed_memory

if TYPE_CHECKING:
    from finewave.studies.experiment import StudyRequest

LISTS = ("--datasets", "--scales", "--systems", "--rows")
_OPEN = "finewave.cli.study.open_list"


class ListsCommand(click.Command):
    """A command without arguments whose options in `LISTS` take several values: ``--scales 2 4 8``, or ``2,4,8``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option before each of its values, as click expects."""
        plain: list[str] = []
        option = None
        for word in args:
            name, equals, value = word.partition("=")
            if name in LISTS:
                option = name
                if not equals:
                    continue
                word = value
            elif word.startswith("-"):
                option = None
            if option is None:
                plain.append(word)
            else:
                plain += [part for value in word.split(",") if value for part in (option, value)]
        ctx.meta[_OPEN] = option
        return super().parse_args(ctx, plain)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a further value of the list that is open at the end of the line."""
        for parameter in self.params:
            if ctx.meta.get(_OPEN) in parameter.opts and not incomplete.startswith("-"):
                return parameter.shell_complete(ctx, incomplete)
        return super().shell_complete(ctx, incomplete)


class Studies(click.Group):
    """One command for each study, and ``merge``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the studies in the order of their publication, then other commands."""
        from finewave.studies.definitions.catalogue import FIGURES, STUDIES

        return [*STUDIES, *FIGURES, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return the command of a study."""
        from finewave.studies.definitions.catalogue import FIGURES, STUDIES

        if name in FIGURES:
            figure = FIGURES[name]
            help_text = (
                f"{figure.title} ({figure.source}), from the models of {figure.table}.\n\nSide by side with a part "
            )
            help_text += "magnified, error maps, spectra at points."
            params: list[click.Parameter] = [*_OPTIONS, _SCENE]
            return _command(name, _draw, params, help_text, figure.title, figure.scale)
        if name in STUDIES:
            study = STUDIES[name]
            help_text = f"{study.title} ({study.source}).\n\nRows: {', '.join(row.key for row in study.rows)}."
            return _command(name, _run, list(_OPTIONS), help_text, study.title, study.scales[0])
        return super().get_command(ctx, name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Suggest the nearest name for an unknown study."""
        from finewave.errors import unknown_name

        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise unknown_name("study", args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)


def _command(
    name: str, run: Callable[..., None], params: list[click.Parameter], text: str, title: str, scale: int
) -> click.Command:
    command = f"finewave study {name} --scales {scale} --split val --recipes short --budget 5%"
    epilog = example(f"{command} --dry-run", command)
    return ListsCommand(name, callback=run, params=params, help=text, short_help=title, epilog=epilog)


@click.group(cls=Studies, epilog=example("finewave study table4 --datasets cave --scales 4 --split val --dry-run"))
def study() -> None:
    """Reproduce a published table: train missing models, score, write the table.

    The same command resumes after an interruption, and changes nothing when complete. Results are in --out, one JSON
    per cell, and can be copied and merged. --dry-run shows what will be trained and how long it will take.
    """


@study.command(epilog=example("finewave study merge here/studies there/studies -o studies"))
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", "out", required=True, type=click.Path(path_type=Path), help="Folder to merge into.")
@json_option
def merge(folders: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Bring the results of several folders together in one; cells that contradict each other are refused."""
    from finewave.studies.merge import merge as run

    count = run(folders, out)
    return print_json({"cells": count, "out": out}) if as_json else click.echo(f"{count} cells in {out}")


study.add_command(anchors)
study.add_command(consistency)


@study.command(epilog=example("finewave study robustness --task ssr --split val -o ssr.json"))
@click.option("--task", required=True, type=click.Choice(["sssr", "sr", "ssr", "fusion"]), help="Of the rows.")
@click.option("--dataset", default="cave", show_default=True, shell_complete=dataset_names, help="A prepared one.")
@click.option("--split", default="val", show_default=True, shell_complete=choices("val", "test"), help="val or test.")
@click.option("--models", metavar="NAME,...", help="Trained rows.  [default: all of the task and the dataset's camera]")
@click.option("--scale", type=click.IntRange(min=2), default=4, show_default=True, help="Of all tasks but ssr.")
@click.option("--crop", type=click.IntRange(min=1), help="Score only the middle of each scene, of this side in pixels.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="JSON file.  [default: robustness-TASK.json]")
@json_option
def robustness(
    task: str,
    dataset: str,
    split: str,
    models: str | None,
    scale: int,
    crop: int | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Score all models of a task under other blurs, noise and cameras, and rank them by their worst case.

    The same command continues after a kill.
    """
    from finewave.cli.terminal.table import table
    from finewave.metrics import METRICS
    from finewave.studies.measurements.robustness import ranked, sweep

    names = tuple(name for name in (models or "").split(",") if name)
    target = output or Path(f"robustness-{task}.json")
    keep_freed_memory()
    with working(as_json):
        result = sweep(task, target, dataset=dataset, split=split, models=names, scale=scale, crop=crop, say=note)
    order = ranked(result)
    if as_json:
        worst = [{"row": label, "case": case, "psnr": psnr} for label, case, psnr in order]
        return print_json({**result, "ranked": worst, "written": target})
    headings = ("row", "worst case", METRICS["psnr"].heading)
    click.echo(table(headings, [(a, b, f"{c:.2f}") for a, b, c in order], right=[2]))
    return click.echo(f"written: {target}")


@study.command(epilog=example("finewave study benchmark docs/results/benchmark -o docs/benchmark.md"))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Markdown page.")
@json_option
def benchmark(folder: Path, output: Path, as_json: bool) -> None:
    """Write one page of the results in FOLDER and the cards of the trained weights.

    FOLDER holds JSON files of finewave evaluate --folds and of finewave study robustness.
    """
    from finewave.studies.reports.benchmark_page import write_benchmark_page

    with working(as_json):
        page = write_benchmark_page(folder, output)
    return print_json({"written": page}) if as_json else click.echo(f"written: {page}")


_OPTIONS: tuple[click.Option, ...] = (
    click.Option(["--datasets"], multiple=True, metavar="NAME...", shell_complete=dataset_names,
                 help="[default: those of the publication that are available]"),
    click.Option(["--scales"], multiple=True, type=click.IntRange(min=2), metavar="N...", shell_complete=study_scales,
                 help="[default: published]"),
    click.Option(["--systems", "--rows", "rows"], multiple=True, metavar="KEY...", shell_complete=study_rows,
                 help="Rows.  [default: all]"),
    click.Option(["--split"], default="test", show_default=True, shell_complete=choices("val", "test"),
                 help="val or test."),
    click.Option(["--recipes"], type=click.Choice(["published", "short", "common"]), default="published",
                 show_default=True, help="Recipe of each system: after its article, for a processor, common to all."),
    click.Option(["--budget"], default="published", show_default=True, metavar="LENGTH",
                 help="published, a part (0.05, 5%), steps (800), HR pixels seen (2e7px), FLOPs (5e13flop)."),
    click.Option(["--protocol"], shell_complete=protocol_names,
                 help="finewave, jssunet, sspsr, mulsr or ssc-hsr.  [default: the study's]"),
    click.Option(["--seeds"], type=COUNT, default=1, show_default=True, help="Trainings of each row."),
    click.Option(["--out"], type=click.Path(path_type=Path), default=Path("studies"), show_default=True,
                 help="Folder of results."),
    click.Option(["--dry-run"], is_flag=True, help="Show what will be trained, how long, and how much disk."),
    click.Option(["--measure"], is_flag=True, help="With --dry-run: time each recipe here, stored costs or not."),
    click.Option(["--workers"], type=PROCESSES, help="Trainings at a time, as processes on this machine."),
    click.Option(["--cluster"], metavar="ADDRESS", help="Of a Dask scheduler: trainings run on its workers."),
    click.Option(["--no-train"], is_flag=True, help="Only the table of existing results."),
    click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON document, and nothing else."),
)  # fmt: skip


_SCENE = click.Option(["--scene"], help="Of the split.  [default: the published one if it is there, else the first]")


def _run(out: Path, as_json: bool, **options: Any) -> None:
    """Make a table."""
    from finewave.studies.reports.table_formats import document, markdown, write_table
    from finewave.studies.reports.tables import build_table
    from finewave.studies.study_request import request_cells

    request = request_cells(click.get_current_context().info_name or "", **_asked(options))
    if options["dry_run"]:
        return _forecast(request, out, as_json, measure=options["measure"])
    with working(as_json):
        failures = _make(request, out, **options)
    table = build_table(request, out)
    written = write_table(table, out)
    if as_json:
        print_json({**document(table), "written": written, "not_possible": failures})
    else:
        click.echo(markdown(table), nl=False)
        for path in written:
            click.echo(f"written: {path}")
    return _tell(failures)


def _draw(out: Path, scene: str | None, as_json: bool, **options: Any) -> None:
    """Make a figure."""
    from finewave.extras import check_extra
    from finewave.studies.definitions.catalogue import FIGURES
    from finewave.studies.figures import make_figure
    from finewave.studies.study_request import request_cells

    figure = FIGURES[click.get_current_context().info_name or ""]
    study_request = _asked(options)
    study_request["datasets"] = study_request["datasets"] or (figure.dataset,)
    study_request["scales"] = study_request["scales"] or (figure.scale,)
    request = request_cells(figure.table, **study_request)
    if options["dry_run"]:
        return _forecast(request, out, as_json, measure=options["measure"])
    check_extra("view", f"finewave study {figure.name}")
    with working(as_json):
        failures = _make(request, out, **options)
        written = make_figure(figure, request, out, scene)
    if as_json:
        print_json({"figure": figure.name, "written": written, "not_possible": failures})
    else:
        click.echo(f"written: {written}")
    return _tell(failures)


def _asked(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that define the request, not its execution."""
    how = ("no_train", "dry_run", "measure", "workers", "cluster")
    return {key: value for key, value in options.items() if key not in how}


def _make(
    request: StudyRequest, out: Path, *, no_train: bool, workers: int | None, cluster: str | None, **_: Any
) -> dict[str, str]:
    """Compute the missing cells of a request; return failures."""
    from finewave.extras import check_extra
    from finewave.studies.runner import missing_groups, run_groups

    if no_train:
        return {}
    keep_freed_memory()
    groups = missing_groups(request.cells(), out)
    if any(group[0].recipe is not None for group in groups):
        check_extra("train", "a study with trainings")
    if workers is None and cluster is None:
        return run_groups(groups, out, note)
    from finewave.studies.cluster import run_spread

    return run_spread(groups, out, note, workers=workers, address=cluster)


def _tell(failures: dict[str, str]) -> None:
    """Exit with an error if there were failures."""
    from finewave.errors import InputError

    if failures:
        reasons = "; ".join(f"{training}: {why}" for training, why in failures.items())
        raise InputError(f"trainings that were not possible: {reasons}")


def _forecast(request: StudyRequest, out: Path, as_json: bool, *, measure: bool) -> None:
    """Print the missing cells and their cost."""
    from dataclasses import asdict

    from finewave.cli.terminal.table import table
    from finewave.studies.cost import cost_of, in_words
    from finewave.studies.runner import missing_groups
    from finewave.studies.stored_costs import StoredCosts

    groups = missing_groups(request.cells(), out)
    stored = None if measure else StoredCosts()
    if not groups and not as_json:
        return click.echo("nothing is missing")
    with working(as_json):
        cost = cost_of(groups, out, note, stored=stored)
    if as_json:
        return print_json({**asdict(cost), "seconds": cost.seconds, "bytes": cost.bytes})
    lines = []
    for each in cost.estimates:
        steps = " + ".join(map(str, each.steps)) or "-"
        step = " / ".join(f"{pair.low:.2g}-{pair.high:.2g}" for pair in each.step) or "-"
        time = in_words(each.whole) if each.recipe else "not estimated"
        lines.append(("; ".join(each.cells), each.recipe or "only scored", steps, step, time))
    click.echo(table(("cells", "recipe", "steps", "s a step", "time"), lines))
    click.echo(f"together: {in_words(cost.seconds)}, one after the other on this machine")
    click.echo(f"disk: {cost.bytes / 1e6:.0f} MB at most, {cost.free_bytes / 1e9:.1f} GB free")
    if stored is not None and stored.used:
        click.echo(
            f"{stored.used} of these are from stored costs, by the speed of this machine now: an order of magnitude; "
            "--measure times them here"
        )
    click.echo(
        "measured on random images: a few steps of each recipe, and the prediction of a small image, taken to grow "
        "with the pixels. Ranges are from the quickest to the slowest; networks that look at the whole image at once "
        "take longer on large ones, and fitting baselines is not counted"
    )
    if cost.load is not None and cost.load > cost.cores:
        click.echo(f"the machine is busy (load {cost.load} on {cost.cores} cores): so are these times")
    return None
