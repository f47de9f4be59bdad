"""The page that brings all figures together: folds, trained weights, worst cases, operations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from finewave.datasets.registry import get_dataset, list_datasets
from finewave.errors import InputError
from finewave.evaluation.baselines import list_baselines
from finewave.evaluation.folds import compare, rows_named
from finewave.metrics import METRICS
from finewave.studies.measurements.robustness import ranked

SHOWN = ("psnr", "ssim", "sam", "ergas")
SIDE = 128
"""Side in output pixels of the image that operations are counted on."""
TITLES = {
    "ssr": "spectral super-resolution",
    "sr": "spatial super-resolution",
    "sssr": "joint super-resolution",
    "fusion": "fusion",
}


def write_benchmark_page(folder: Path, page: Path, *, operations: bool = True) -> Path:
    """Write the page from the results in a folder, and from the cards of the trained weights.

    Parameters
    ----------
    folder : Path
        JSON files of ``finewave evaluate --folds`` and ``finewave study robustness``.
    page : Path
        Markdown.
    operations : bool
        Count the operations of the trained weights, which runs each once on a small image.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If there are no such files, or one of them is neither.
    """
    from finewave.io.atomic import atomic_output

    results = [_read(path) for path in sorted(folder.glob("*.json"))]
    if not results:
        raise InputError(f"{folder} holds no results; make some with finewave evaluate --folds -o {folder}/NAME.json")
    parts = [INTRODUCTION.format(folder=folder.name)]
    parts += [_folds(result) for result in results if "folds" in result["protocol"]]
    parts.append(_weights(operations))
    parts += [_robustness(result) for result in results if "cases" in result["protocol"]]
    with atomic_output(page) as temporary:
        temporary.write_text("\n".join(parts), encoding="utf-8")
    return page


INTRODUCTION = """# Benchmark

How good the strongest methods without a network are, what finewave's closed forms and trained weights add, and what is
left when blur, noise or camera are not those of the training. Made by `finewave study benchmark` from the results in
`docs/results/{folder}/`; every figure comes from a command that is named beside it.

The floor of a task is the best of its [baselines](baselines.md) by PSNR, on the scenes at hand. Intervals are those of
the mean over scenes (95 %, bootstrap with 10,000 draws); p is that of the two-sided Wilcoxon signed-rank test over
scenes. Published numbers stand beside ours in the [tables of the publications](studies.md): their scenes are others.
"""


def _read(path: Path) -> dict[str, Any]:
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} cannot be read ({error})") from error
    protocol = result.get("protocol") if isinstance(result, dict) else None
    if not isinstance(protocol, dict) or not {"folds", "cases"} & set(protocol):
        raise InputError(f"{path} is neither of finewave evaluate --folds nor of finewave study robustness")
    return result


def _folds(result: dict[str, Any]) -> str:
    protocol = result["protocol"]
    folds, scenes = len(protocol["folds"]), sum(map(len, protocol["folds"]))
    how = "each scene left out once" if folds == scenes else f"{folds} folds"
    low, high = protocol["seen_nm"]
    command = _folds_command(protocol, "loo" if folds == scenes else str(folds))
    heads = [
        "",
        *(_head(metric) for metric in SHOWN),
        *(f"{METRICS[m].label}, {low:g}-{high:g} nm" for m in ("psnr", "sam")),
    ]
    lines, notes, against = [], [], []
    for label, row in result["rows"].items():
        cells = [METRICS[metric].text(row["mean"][metric]) for metric in SHOWN]
        for place, metric in enumerate(SHOWN):
            if metric in row["interval"]:
                first, last = (METRICS[metric].text(each) for each in row["interval"][metric])
                cells[place] += f" ({first} to {last})"
        cells += [METRICS[metric].text(row["seen"][metric]) for metric in ("psnr", "sam")]
        mark = " (floor)" if label == result["floor"] else ""
        lines.append([f"{label}{mark}", *cells])
        if row["against_floor"] is not None:
            notes.append(f"- {label}: {_against(row['against_floor'])}")
    refitted = [label for label, (system, options) in protocol["systems"].items() if not _is_baseline(system, options)]
    for label in refitted:  # beside the floor, what each of the others is to it
        for other, row in result["rows"].items():
            if other not in (label, result["floor"], *refitted):
                found = compare(result["rows"][label]["images"], row["images"])
                against.append(f"- {label} against {other}: {_against(found)}")
    network = "" if refitted else " without a network"
    images = protocol["dataset"].upper() + ("" if protocol["degradation"] is None else f", x{protocol['scale']}")
    title = f"{TITLES[protocol['task']].capitalize()}{network}: {images}, {how}"
    facts = f"{scenes} scenes, camera {protocol['sensor']}"
    facts += (
        ""
        if protocol["degradation"] is None
        else f", scale {protocol['scale']}, {protocol['degradation']['kernel']} blur"
    )
    # without spectra to learn, a baseline takes all from its images
    if protocol["task"] == "ssr" or refitted:
        facts += f"; fitted to {protocol['fitted_to']} of the other scenes"
    facts += f"; the camera sees {low:g}-{high:g} nm"
    tests = "\n".join(["Against the floor, scene by scene:", "", *notes, ""]) if notes else ""
    tests += "\n".join(["", "Against the others:", "", *against, ""]) if against else ""
    return f"## {title}\n\n{facts}.\n\n{_table(heads, lines)}\n{tests}{command}"


def _is_baseline(system: str, options: dict[str, Any]) -> bool:
    """Return whether a row is one of `list_baselines`, or made of them alone."""
    if members := options.get("members"):
        each = options.get("options") or [{}] * len(members)
        return all(_is_baseline(member, own) for member, own in zip(members, each, strict=True))
    if parts := [part for part in ("sr", "ssr", "fusion") if part in options]:
        return all(_is_baseline(options[part], options.get(f"{part}_options") or {}) for part in parts)
    return system in list_baselines()


def _folds_command(protocol: dict[str, Any], folds: str) -> str:
    """Return the command whose rows these are, as Markdown; nothing where only Python makes them."""
    if recipes := protocol.get("recipes"):
        words = ["finewave evaluate --model", next(iter(recipes)), "--dataset", protocol["dataset"], "--folds", folds]
        words += ["--baseline"] if len(protocol["systems"]) > 1 else []
        return f"\n```console\n{' '.join(words)}\n```\n"
    systems = {label: (system, options) for label, (system, options) in protocol["systems"].items()}
    members = [options.get("members", [system]) for system, options in systems.values()]
    names = ["+".join(each) for each in members if all(member in list_baselines() for member in each)]
    made = (
        (name, all_)
        for name in names
        for all_ in (False, True)
        # a floor that was added since is a further row
        if systems.items() <= rows_named(name, baseline=all_)[0].items()
    )
    name, baseline = next(made, (None, False))
    if name is None:
        return ""
    words = ["finewave evaluate --model", name, "--dataset", protocol["dataset"], "--folds", folds]
    words += ["--baseline"] if baseline else []
    blur = protocol["degradation"]
    if blur is not None:
        words += ["--scale", str(protocol["scale"])]
        words += [] if blur["kernel"] == "gaussian" else ["--kernel", blur["kernel"]]
    known = protocol["dataset"] in list_datasets()
    if known and get_dataset(protocol["dataset"]).sensor != protocol["sensor"]:
        words += ["--sensor", protocol["sensor"]]
    return f"\n```console\n{' '.join(words)}\n```\n"


def _against(found: dict[str, Any]) -> str:
    words = []
    for metric in ("psnr", "sam"):
        each, described = found[metric], METRICS[metric]
        p = "" if each["p"] is None else f", p = {each['p']:.1g}"
        difference = described.with_unit(f"{each['difference']:+.{described.decimals}f}")
        words.append(f"{described.label} {difference} (better on {each['better']} of {each['scenes']}{p})")
    return ", ".join(words)


def _weights(operations: bool) -> str:
    """Return the table of the trained weights by their cards."""
    from finewave.zoo.card import Card
    from finewave.zoo.distribution.bundled_weights import CARD, weight_folders

    heads = ["", "task", *(_head(metric) for metric in SHOWN), "floor", "floor PSNR", "floor SAM", "parameters"]
    heads += [f"GFLOP at {SIDE} x {SIDE}"] if operations else []
    lines = []
    for name, folder in weight_folders().items():
        card = Card.read(folder / CARD)
        scores = (card.metrics or {}).get("cave/val")
        if scores is None:
            continue
        mean, floor = scores["mean"], scores["baseline"]
        below = [METRICS[m].label for m in ("psnr", "sam") if not _better(m, mean[m], floor["mean"][m])]
        mark = f" (below the floor in {' and '.join(below)})" if below else ""
        line = [f"`{name}`{mark}", card.task, *(METRICS[metric].text(mean[metric]) for metric in SHOWN)]
        line += [floor["name"], *(METRICS[m].text(floor["mean"][m]) for m in ("psnr", "sam")), f"{card.parameters:,}"]
        lines.append([*line, *([f"{_gflop(name):.3g}"] if operations else [])])
    text = (
        "## Trained weights on CAVE's validation scenes\n\nSix whole scenes, on which the weights were chosen too. The "
        f"floor is the best baseline of the task on the same scenes.\n\n{_table(heads, lines)}\n"
    )
    if operations:
        text += (
            f"Operations of one image of {SIDE} x {SIDE} output pixels: convolutions and matrix products, a "
            "multiply-add being two. Output pixels a second depend on the machine: "
            "[performance](performance-systems.md).\n\n"
        )
    return text + "```console\nfinewave evaluate --model jssunet-cave-x4 --dataset cave --split val --baseline\n```\n"


def _gflop(name: str) -> float:
    import torch

    from finewave.zoo.flops import flops_of
    from finewave.zoo.model import load_model

    model = load_model(name, precision="float32")
    low = SIDE // model.scale
    sides = {each: SIDE if each.startswith(("hr_", "ref_")) else low for each in model.inputs}
    random = torch.Generator().manual_seed(0)  # networks that look at their images may do more for some
    inputs = {
        each: torch.rand(1, model.bands_of(each) or 3, side, side, generator=random) for each, side in sides.items()
    }
    return flops_of(lambda: model.run(inputs))["all"] / 1e9


def _robustness(result: dict[str, Any]) -> str:
    protocol = result["protocol"]
    cases = [case["name"] for case in protocol["cases"]]
    order = ranked(result)
    heads = [_head("psnr"), *cases, "worst case"]
    lines = []
    for label, worst, _ in order:
        row = result["rows"][label]["cases"]
        values = [METRICS["psnr"].text(row[case]["mean"]["psnr"]) if case in row else "–" for case in cases]
        lines.append([label, *values, worst])
    sam = [
        [label, *(METRICS["sam"].text(found[case]["mean"]["sam"]) if case in found else "–" for case in cases), ""]
        for label, _, _ in order
        if (found := result["rows"][label]["cases"])
    ]
    part = (
        "whole scenes"
        if protocol["crop"] is None
        else f"the middle {protocol['crop']} x {protocol['crop']} of each scene"
    )
    command = f"finewave study robustness --task {protocol['task']} --dataset {protocol['dataset']}"
    command += f" --split {protocol['split']}"
    command += "" if protocol["task"] == "ssr" else f" --scale {protocol['scale']}"
    command += "" if protocol["crop"] is None else f" --crop {protocol['crop']}"
    own = " All but bicubic interpolation look at their images first: they take the blur that these have, and"
    own += " regressions keep noise out, see [baselines](baselines.md#another-blur-than-the-one-stated)."
    return (
        f"## Worst cases: {TITLES[protocol['task']]}\n\nRows are trained, or fitted, for the nominal case; "
        f"{protocol['dataset'].upper()}, {protocol['split']}, {part}. The order is that of the worst case."
        f"{own if protocol['task'] == 'fusion' else ''}\n\n"
        f"{_table(heads, lines)}\n{_table([_head('sam'), *cases, ''], sam)}\n```console\n{command}\n```\n"
    )


def _better(metric: str, value: float, floor: float) -> bool:
    return value > floor if METRICS[metric].higher_is_better else value < floor


def _head(metric: str) -> str:
    return METRICS[metric].heading


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *(f"| {' | '.join(line)} |" for line in lines)]
    return "\n".join(rows) + "\n"
