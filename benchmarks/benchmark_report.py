"""The figures of a run as tables: for a terminal, and as the page ``docs/performance.md``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from benchmarks.cases import MODELS, SCENES, STANDARD
from benchmarks.machines import kind_of, when
from benchmarks.targets import GIB, find, growth_of, is_one_piece, shares_of
from finewave.systems.registry import SYSTEMS

MIB = 2**20
STAGES = {"sr": "SR branch", "ssr": "SSR branch", "fusion": "fusion branch", "post": "post-processing"}


_PAGES = {
    STANDARD: (
        "Performance",
        "performance",
        [
            "finewave bench                                          # all of it, as tables",
            "finewave bench --only head,post --json figures.json     # parts of it",
            "finewave bench jssunet-cave-x4                          # other weights or systems",
            "finewave bench --add docs/performance.json --write docs/performance.md",
            "finewave bench --from docs/performance.json --write docs/performance.md",
        ],
    ),
    MODELS: (
        "Performance of all systems",
        "performance-systems",
        [
            "finewave bench models --only ssr,fusion --add docs/performance-systems.json       # parts of it",
            "finewave bench models --add docs/performance-systems.json --write docs/performance-systems.md",
        ],
    ),
    SCENES: (
        "Performance on whole scenes",
        "performance-scenes",
        [
            "finewave bench scenes --only defaults,photograph --add docs/performance-scenes.json    # parts of it",
            "finewave bench scenes --add docs/performance-scenes.json --write docs/performance-scenes.md",
        ],
    ),
}
"""By what is measured: title, name of the file, commands."""


class Table(NamedTuple):
    """A heading, column names and rows of text."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def tables_of(run: dict[str, Any]) -> list[Table]:
    """Return the tables of a run, those of other kinds of processors within them; those without rows are left out."""
    runs = [run, *run.get("others", ())]
    if len(runs) == 1:
        return _tables_of_one(run)
    by_title: dict[str, dict[str, Table]] = {}
    for each in runs:
        for table in _tables_of_one(each):
            by_title.setdefault(table.title, {})[kind_of(each["machine"])] = table
    merged = [_merged(tables) for _, tables in sorted(by_title.items(), key=lambda item: _TITLES.index(item[0]))]
    beside = _beside(runs)
    return [beside, *merged] if beside.rows else merged


def _merged(tables: dict[str, Table]) -> Table:
    """Return one table of the same rows of several runs below each other, with a column for the kind of processor."""
    first = next(iter(tables.values()))
    keys = _KEYS[first.title]
    rows: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for kind, table in tables.items():
        for row in table.rows:
            rows.setdefault(row[:keys], []).append((*row[:keys], kind, *row[keys:]))
    header = (*first.header[:keys], "processor", *first.header[keys:])
    return Table(first.title, header, [row for each in rows.values() for row in each])


def _beside(runs: Sequence[dict[str, Any]]) -> Table:
    """Return the times of what was measured on all kinds of processors, and how many times as long the first takes."""
    measured = [
        {(_name(r), r["variant"], r["precision"], _whose(r)): r["seconds"] for r in each["results"] if "seconds" in r}
        for each in runs
    ]
    rows = []
    for key in measured[0]:
        if all(key in each for each in measured):
            seconds = [each[key] for each in measured]
            ratios = [f"{seconds[0] / other:.2f}" for other in seconds[1:]]
            rows.append((*key, *map(_time, seconds), *ratios))
    kinds = [kind_of(each["machine"]) for each in runs]
    header = ("what", "formulation", "precision", "details", *kinds, *(f"times as long as with {k}" for k in kinds[1:]))
    return Table("Beside each other", header, rows)


def _whose(result: dict[str, Any]) -> str:
    """Return what else tells a measurement from others of its name."""
    o = result["options"]
    if result["group"] == "system":
        return f"`{o['network']}`"
    if result["group"] == "scene":
        cut = "one piece" if is_one_piece(result) else "without options" if o.get("no_options") else o["halo"]
        return ", ".join([f"`{o['weights']}`" if o.get("weights") else "untrained", cut, _workers(o)])
    return "memory kept" if o.get("keeps_memory") else ""


def _workers(options: dict[str, Any]) -> str:
    return f"{options['workers']} workers" if options.get("workers") else "threads"


def _tables_of_one(run: dict[str, Any]) -> list[Table]:
    results = run["results"]
    made = [
        _targets(run),
        _systems(results),
        _scenes(results),
        _times(results, run["ratios"]),
        _stages(results),
        _peak(results),
        _arithmetic(results),
        _operators(results),
        _training_parts(results),
        _checkpoints(results),
        _growth(results),
        _data(results),
        Table("Not measured", ("what", "why"), [(_name(r), r["error"]) for r in results if "error" in r]),
    ]
    return [table for table in made if table.rows]


_KEYS = {
    "Targets": 2,
    "Systems": 5,
    "Whole scenes": 4,
    "Time and memory": 4,
    "Stages of the forward pass": 3,
    "Peak of the machine": 1,
    "Arithmetic": 3,
    "Where the time goes": 3,
    "Parts of a training step": 2,
    "Checkpointing": 2,
    "Growth": 1,
    "Data": 0,
    "Not measured": 1,
}
"""Columns at the left of each table that say what a row is of."""
_TITLES = tuple(_KEYS)


def page_of(run: dict[str, Any]) -> str:
    """Return the page, Markdown: ``docs/performance.md``, or that of all systems, or of whole scenes."""
    title, stem, commands = _PAGES.get(run["network"], _PAGES[STANDARD])
    lines = [
        f"# {title}",
        "",
        "Written by `finewave bench`; every number on this page comes from runs of it, whose figures stand in",
        f"[{stem}.json]({stem}.json). To measure another machine, or to write the page again:",
        "",
        "```console",
        *commands,
        "```",
        "",
        *_how(run),
    ]
    for table in tables_of(run):
        lines += ["", f"## {table.title}", "", *_markdown(table)]
        lines += ["", *_NOTES[table.title]] if table.title in _NOTES else []
    return "\n".join(lines) + "\n"


def machine_line(run: dict[str, Any]) -> str:
    """Return on what and when a run was made."""
    quick = "; quick: small sizes, the figures mean nothing" if run["quick"] else ""
    return f"{run['network']} on {when(run.get('pieces', [run['machine']]))}{quick}"


def _these_runs(run: dict[str, Any]) -> list[str]:
    """Return the lines that say of what machines and dates the figures are."""
    if not run.get("others"):
        return [f"This run: {machine_line(run)}."]
    return ["These runs:", "", *(f"- {machine_line(each)}" for each in (run, *run["others"]))]


def _how(run: dict[str, Any]) -> list[str]:
    plain = (
        [
            "*Plain* is the formulation that the tests keep as a reference (`tests/plain/jssunet.py`): windows laid",
            "out in memory, one pass per cluster, float32, (B, C, H, W). The tests hold both to the same outputs and",
            "gradients.",
        ]
        if run["plain"]
        else ["The plain formulations were not at hand (they come with a checkout), so there are no ratios."]
    )
    if run["network"] == SCENES:
        return [
            *_these_runs(run),
            "",
            *_of_users(run["results"]),
            "",
            "Each row is one run of `finewave predict`; if it names no weights, from GeoTIFF to Zarr (uint16) with an",
            "untrained JSSUNet of one stage and 32 features at s = 4. Time is from the start of the command to its",
            "end: *start* is up to the first finished tile, *tiles* from there to the last, *file* the rest. Memory is",
            "the sum of the peaks of all its processes. *Processor* is their user and system time, which other work on",
            "the machine hardly changes; *cores* is processor time by time while tiles are made. Workers have one",
            "thread each. Load is the machine's before the run, in processes that want a core; that of the run before",
            "it is still in it.",
            "",
            "A GeoTIFF takes longer in the end, when one process packs it and its overviews: see",
            "[whole scenes](scenes.md#measured).",
        ]
    if run["network"] == MODELS:
        return [
            *_these_runs(run),
            "",
            "Each system as `create_model` builds it without options: the published size. One output of 128 x 128",
            "pixels and 31 bands; s = 4, of SSFIN 2. Times are medians of at least three runs after one to warm up;",
            "what takes longer than four seconds is run once after it. Memory is the process's peak above what it held",
            "when network and input were there. A multiply-add is two FLOPs; only convolutions and matrix products",
            "count.",
            *_later_systems([result for each in (run, *run.get("others", ())) for result in each["results"]]),
        ]
    return [
        *_these_runs(run),
        "",
        *plain,
        "",
        "Each measurement runs in its own process. Times are medians of at least three runs after one to warm up; what",
        "takes longer than four seconds is run once after it, and the post-processing of large images once in all.",
        "Memory is the process's peak above what it held when network and input were there; on a GPU that of PyTorch's",
        "allocator. bfloat16 is mixed precision. A training step is forward, losses of all stages, backward and Adam.",
    ]


def _of_users(results: Sequence[dict[str, Any]]) -> list[str]:
    """Return what is said of the rows of a user who sets no options."""
    if any(result["options"].get("weights") for result in results):
        return [
            "Rows *without options* are what a user gets with the weights that ship: `finewave predict scene.tif -o",
            "result.tif --model NAME`, a GeoTIFF of float32. Others are Zarr of uint16.",
        ]
    return [
        "What a user gets with the weights that ship and without options was not part of this run, nor tiles whose",
        "network runs in stages: those figures stand in [whole scenes](scenes.md#from-start-to-file).",
    ]


def _later_systems(results: Sequence[dict[str, Any]]) -> list[str]:
    """Return which systems a run does not have, as they are newer."""
    missing = [name for name in SYSTEMS if name not in {result["options"].get("network") for result in results}]
    text = f"Not in these runs, as they are newer: {', '.join(f'`{name}`' for name in missing)}."
    return ["", *textwrap.wrap(text, 118, break_on_hyphens=False)] if missing else []


_NOTES = {
    "Targets": [
        "For missed targets, the tables below show where the time is spent. Time or memory per pixel below 1 is due to",
        "costs that do not grow with the image.",
    ],
    "Time and memory": [
        "*Freed memory*: finewave's commands keep it for later tensors; other Python programs return it to the",
        "system, as PyTorch does on glibc, unless they call "
        "`finewave.process.allocator.keep_freed_memory()`. *Faster* and",
        "*less memory* are relative to the plain formulation in a process that returns it, as the public code runs;",
        "with kept memory the plain formulation is also faster, see its row. In the tables below it is kept, except",
        "for the plain formulation.",
    ],
    "Arithmetic": [
        "FLOPs are those of convolutions and matrix products, a multiply-add being two; interpolation, compiled",
        "kernels and element-wise work are not counted, but their time is. The last two columns divide the",
        "convolutions' FLOPs by the time that a profile gives to them. Shares are of the larger measured peak.",
    ],
    "Beside each other": [
        "Dates and revisions are those above: between two runs the code changed, too.",
    ],
    "Parts of a training step": [
        "All operators above 5 % of the step. What is bound by memory gains nothing by faster arithmetic.",
    ],
    "Checkpointing": [
        "`phaseN.checkpoint` of a recipe; see [training](training.md).",
    ],
    "Data": [
        "Crops with mixtures, gains and turns, made by a thread while the step before them runs.",
    ],
}


# --- The tables ---------------------------------------------------------------------------------------------------


def _targets(run: dict[str, Any]) -> Table:
    rows = [
        (
            target["what"],
            f"{'at least' if target['bound'] == '>=' else 'at most'} {target['target']:g}",
            "" if target["measured"] is None else f"{target['measured']:.3g}",
            {None: "not measured", True: "yes", False: "no"}[target["reached"]],
        )
        for target in run["targets"]
    ]
    return Table("Targets", ("what", "target", "measured", "reached"), rows)


def _times(results: Sequence[dict[str, Any]], ratios: Sequence[dict[str, Any]]) -> Table:
    rows = []
    for result in results:
        if result["group"] not in ("head", "post", "forward", "train", "compile") or "error" in result:
            continue
        if result["options"].get("checkpoint"):
            continue
        ratio = next((r for r in ratios if _is_of(r, result)), None)
        rows.append(
            (
                _name(result),
                result["variant"],
                result["precision"],
                "kept" if result["options"].get("keeps_memory") else "returned",
                _time(result["seconds"]),
                _memory(result["peak_bytes"]),
                f"{ratio['faster']:.1f}x" if ratio else "",
                f"{ratio['smaller']:.1f}x" if ratio else "",
            )
        )
    header = ("what", "formulation", "precision", "freed memory", "time", "peak memory", "faster", "less memory")
    return Table("Time and memory", header, rows)


def _is_of(ratio: dict[str, Any], result: dict[str, Any]) -> bool:
    return (
        result["variant"] == "finewave"
        and (ratio["group"], ratio["precision"]) == (result["group"], result["precision"])
        and ratio["options"].get("keeps_memory") == result["options"].get("keeps_memory")
        and all(result["options"].get(key) == value for key, value in ratio["options"].items())
    )


def _systems(results: Sequence[dict[str, Any]]) -> Table:
    rows = [
        (
            r["options"]["network"],
            r["task"],
            f"{r['parameters']:,}",
            f"{r['flops']['all'] / 1e9:.3g} GFLOP",
            r["precision"],
            _time(r["seconds"]),
            _memory(r["peak_bytes"]),
        )
        for r in results
        if r["group"] == "system" and "error" not in r
    ]
    header = ("system", "task", "parameters", "FLOPs", "precision", "time", "peak memory")
    return Table("Systems", header, rows)


def _scenes(results: Sequence[dict[str, Any]]) -> Table:
    rows = []
    for r in results:
        if r["group"] != "scene" or "error" in r:
            continue
        o = r["options"]
        rows.append(
            (
                f"{o['size'][0]:,} x {o['size'][1]:,} x {o['config']['ms_bands']}"
                + (f", `{o['weights']}`" if o.get("weights") else ""),
                _memory((4 if o.get("no_options") else 2) * r["pixels"] * o["config"]["hs_bands"]),
                "one piece" if is_one_piece(r) else "without options" if o.get("no_options") else o["halo"],
                f"{o.get('workers', 'threads')}",
                f"{r['load']:g}",
                _time(r["seconds"]),
                _time(r["processor_seconds"]) if "processor_seconds" in r else "",  # runs before it was measured
                *(_time(r[f"{phase}_seconds"]) for phase in ("start", "tiles", "file")),
                f"{r['cores']:.2f}" if r["tiles_seconds"] else "",
                _memory(r["peak_bytes"]),
            )
        )
    times = ("time", "processor", "start", "tiles", "file")
    return Table("Whole scenes", ("scene", "output", "halo", "workers", "load", *times, "cores", "peak memory"), rows)


def _stages(results: Sequence[dict[str, Any]]) -> Table:
    rows = []
    for result in results:
        for name, seconds in result.get("stages", {}).items():
            total = sum(result["stages"].values())
            part = STAGES.get(name, name)
            rows.append(
                (part, result["variant"], result["precision"], _time(seconds), f"{100 * seconds / total:.0f} %")
            )
    return Table("Stages of the forward pass", ("part", "formulation", "precision", "time", "share"), rows)


def _peak(results: Sequence[dict[str, Any]]) -> Table:
    peak = find(results, "peak")
    rates = {} if peak is None else peak["flops_per_second"]
    rows = [(f"{kind} {precision}", _rate(rates[key])) for key in rates for kind, _, precision in [key.partition("_")]]
    return Table("Peak of the machine", ("what", "FLOP/s"), rows)


def _arithmetic(results: Sequence[dict[str, Any]]) -> Table:
    rows = [
        (
            _WHAT[row["group"]],
            row["precision"],
            f"{row['flops'] / 1e9:.1f} GFLOP",
            _rate(row["flops_per_second"]),
            _percent(row["share"]),
            "" if row["convolutions_per_second"] is None else _rate(row["convolutions_per_second"]),
            _percent(row["convolutions_share"]),
        )
        for row in shares_of(results)
    ]
    header = ("what", "precision", "FLOPs", "FLOP/s", "share of peak", "convolutions alone", "their share of peak")
    return Table("Arithmetic", header, rows)


def _operators(results: Sequence[dict[str, Any]], most: int = 6) -> Table:
    rows = []
    for result in results:
        operators = result.get("operators", {})
        total = sum(operators.values())
        for name, seconds in list(operators.items())[:most]:
            rows.append(
                (_WHAT[result["group"]], result["precision"], f"`{name}`", _time(seconds), _percent(seconds / total))
            )
    return Table("Where the time goes", ("what", "precision", "operator", "time", "share"), rows)


_EXPLAINED = {
    "aten::convolution_backward": "gradients of convolutions, of weights and of images: twice the forward arithmetic",
    "mkldnn::_convolution_pointwise": "convolutions, forward, with bias and ReLU in the same pass",
    "aten::mkldnn_convolution": "convolutions, forward, without a ReLU",
    "aten::threshold_backward": "gradient of ReLU: two images read and one written, bound by memory",
    "aten::add_": "sums of gradients of an image that is used twice, in place: bound by memory",
    "aten::add": "residual sums, forward: bound by memory",
    "aten::mul": "step lengths and attention times images, and their gradients: bound by memory",
    "aten::copy_": "conversions between bfloat16 and float32, and between layouts: bound by memory",
    "aten::upsample_bicubic2d_backward": "gradient of bicubic interpolation",
    "aten::cat": "images put together for the fusion: bound by memory",
    "aten::sum": "gradients of biases: bound by memory",
}
_EXPLAIN_FROM = 0.05


def _training_parts(results: Sequence[dict[str, Any]]) -> Table:
    """Return each operator with more than `_EXPLAIN_FROM` of a training step, and what it does."""
    rows = []
    for result in results:
        operators = result.get("operators", {}) if result["group"] == "train" else {}
        total = sum(operators.values())
        for name, seconds in operators.items():
            if seconds > _EXPLAIN_FROM * total:
                rows.append((f"`{name}`", result["precision"], _percent(seconds / total), _EXPLAINED.get(name, "")))
    return Table("Parts of a training step", ("operator", "precision", "share", "what it does"), rows)


def _checkpoints(results: Sequence[dict[str, Any]]) -> Table:
    found = [r for r in results if r["group"] == "train" and r["variant"] == "finewave" and "error" not in r]
    found = [r for r in found if not r["options"].get("times_only")]
    names = [result["options"].get("checkpoint") for result in found]
    rows = [
        (f"`{name}`" if name else "none", result["precision"], _time(result["seconds"]), _memory(result["peak_bytes"]))
        for name, result in zip(names, found, strict=True)
    ]
    return Table("Checkpointing", ("checkpoint", "precision", "step", "peak memory"), rows if any(names) else [])


def _growth(results: Sequence[dict[str, Any]]) -> Table:
    rows = [
        (
            f"{row['crop']} x {row['crop']}",
            _time(row["seconds"]),
            _memory(row["peak_bytes"]),
            f"{row['time_per_pixel']:.2f}",
            f"{row['memory_per_pixel']:.2f}",
        )
        for row in growth_of(results)
    ]
    return Table("Growth", ("output", "time", "peak memory", "time per pixel", "memory per pixel"), rows)


def _data(results: Sequence[dict[str, Any]]) -> Table:
    rows = [
        (
            _time(r["batch_seconds"]),
            _time(r["step_seconds"]),
            _time(r["wait_seconds"]),
            f"{100 * r['wait_share']:.2f} %",
        )
        for r in results
        if r["group"] == "data" and "error" not in r
    ]
    return Table("Data", ("a batch of crops", "a training step", "the step waits", "share of the time"), rows)


_WHAT = {
    "head": "attention head",
    "post": "post-processing",
    "forward": "forward pass",
    "train": "training step",
    "compile": "training step, compiled",
    "growth": "forward pass",
    "peak": "peak of the machine",
    "data": "data",
    "system": "forward pass",
    "scene": "whole scene",
}


def _name(result: dict[str, Any]) -> str:
    o = result["options"]
    size = o.get("size") or ([o["crop"], o["crop"]] if "crop" in o else [])
    said = [_WHAT[result["group"]]]
    said += [f"P = {o['patch']}"] if "patch" in o else []
    said += [f"{size[0]} x {size[1]}"] if size else []
    said += [f"C = {o['hs_bands']}"] if "hs_bands" in o else []
    said += [f"batch {o['batch']}"] if "batch" in o else []
    said += [f"{o['config']['features']} features"] if "features" in o.get("config", {}) else []
    said += [f"checkpoint {o['checkpoint']}"] if "checkpoint" in o else []
    return ", ".join(said)


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 0.9995 else f"{1000 * seconds:.3g} ms"


def _memory(count: int) -> str:
    return f"{count / GIB:.2f} GiB" if count >= GIB else f"{count / MIB:.0f} MiB"


def _rate(flops_per_second: float) -> str:
    if flops_per_second >= 1e12:
        return f"{flops_per_second / 1e12:.2f} TFLOP/s"
    return f"{flops_per_second / 1e9:.0f} GFLOP/s"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def _markdown(table: Table) -> Iterable[str]:
    yield "| " + " | ".join(table.header) + " |"
    yield "|" + "---|" * len(table.header)
    for row in table.rows:
        yield "| " + " | ".join(row) + " |"
