"""The page ``docs/performance-engines.md``, from the figures of ``python -m benchmarks.engines``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.machines import what_of, when
from finewave.zoo.precision import keeps_its_digits

MODELS = (
    "jssunet-cave-x4",
    "mstpp-cave",
    "awan-cave",
    "sspsr-cave-x4",
    "sschsr-cave-x4",
    "residual-sr-cave-x4",
    "residual-fusion-cave-x4",
    "bandwise-sr-any-x2",
    "scene-ridge-cave",
    "sentinel2-enmap",
    "any-sensor-enmap",
    "any-sensor-cave",
    "any-sensor-vnir100",
)
"""One of each kind of weights."""
GAIN = 1.3
"""How many times as fast as the default an engine has to be to be offered."""
NETWORKS = Mapping[str, Mapping[str, Any]]
"""``machine`` and ``engines`` (figures by name) of each model."""


def page_of(figures: Mapping[str, Any]) -> str:
    """Return the page, Markdown."""
    times: Mapping[str, NETWORKS] = figures.get("times", {})
    losses: NETWORKS = figures.get("losses", {})
    lines = [
        "# Performance in other engines",
        "",
        "Written by `python -m benchmarks.engines`, from the figures in",
        "[performance-engines.json](performance-engines.json). To measure again, times on a machine that does nothing",
        "else:",
        "",
        "```text",
        "pip install openvino",
        "python -m benchmarks.engines --losses docs --cache engines    # what they change; leaves what they need there",
        "python -m benchmarks.engines --times docs --cache engines     # how long they take",
        "```",
        "",
        *_wrapped(
            "One kind of weights in each row, 128 x 128 pixels of output. *Default* is what `finewave predict` "
            "computes in on the processor: PyTorch in float32, or in bfloat16 where the card allows it. torch.compile "
            "is inductor, in the arithmetic of the default. int8 is ONNX Runtime's static quantisation, calibrated on "
            "training scenes; OpenVINO runs the same file. "
            + (
                "Each cell of times has the median of at least three runs on all cores after one to warm up, and in "
                "brackets how many times as fast as the default that is."
                if times
                else "Times have not been measured yet."
            )
        ),
    ]
    for kind, networks in times.items():
        lines += [
            "",
            f"## Processors with {kind}",
            "",
            *_wrapped(when(each["machine"] for each in networks.values()) + "."),
        ]
        lines += ["", *_table(["weights", "default", *_engines(networks)], _time_rows(networks))]
    if times:
        lines += ["", "## Which to offer", "", *_wrapped(_verdict(times, losses)), ""]
        lines += _table(["processors", "engine", "networks taken", "times as fast", "of them"], _summary(times, losses))
    if losses:
        lines += ["", "## What they change", ""]
        lines += _wrapped(
            "Change of the means of PSNR, SSIM and SAM against PyTorch in float32, over the middles of the first six "
            "validation scenes of each card's data set; scenes smaller than 128 x 128 pixels continue as in a mirror. "
            "Measured on " + what_of(each["machine"] for each in losses.values()) + "." + _not_measured(losses)
        )
        lines += ["", *_table(["weights", *_compared(losses)], _loss_rows(losses))]
    missing = _missing(losses or next(iter(times.values()), {}))
    if missing:
        lines += ["", "## Not taken", "", *_table(["weights", "engines", "reason"], missing)]
    return "\n".join(lines) + "\n"


def _engines(networks: NETWORKS) -> list[str]:
    return list(dict.fromkeys(engine for each in networks.values() for engine in each["engines"]))


def _compared(networks: NETWORKS) -> list[str]:
    """Return the engines without the one that the others are compared with."""
    return [engine for engine in _engines(networks) if engine != "PyTorch float32"]


def _default_of(engines: Mapping[str, Mapping[str, Any]]) -> str | None:
    return next((engine for engine, found in engines.items() if found.get("default")), None)


def gains_of(engines: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return how many times as fast as the default each engine of a network is."""
    default = _default_of(engines)
    if default is None:
        return {}
    return {
        engine: engines[default]["seconds"] / found["seconds"]
        for engine, found in engines.items()
        if "seconds" in found
    }


def _time_rows(networks: NETWORKS) -> list[list[str]]:
    rows = []
    for name, each in networks.items():
        gains = gains_of(each["engines"])
        cells = []
        for engine in _engines(networks):
            found = each["engines"].get(engine, {})
            gain = f" ({gains[engine]:.2f})" if engine in gains else ""
            cells.append(f"{_time(found['seconds'])}{gain}" if "seconds" in found else "-" * ("error" in found))
        default = (_default_of(each["engines"]) or "").removeprefix("PyTorch ")
        rows.append([f"`{name}`", default, *cells])
    return rows


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 0.9995 else f"{1000 * seconds:.3g} ms"


def _loss_rows(networks: NETWORKS) -> list[list[str]]:
    rows = []
    for name, each in networks.items():
        cells = []
        for engine in _compared(networks):
            found = each["engines"].get(engine, {})
            if "psnr" in found:
                cells.append(f"{found['psnr']:+.3f} dB, {found['ssim']:+.4f}, {found['sam']:+.3f}°")
            else:
                cells.append("-" * ("error" in found))
        rows.append([f"`{name}`", *cells])
    return rows


def _not_measured(losses: NETWORKS) -> str:
    """Return a sentence about empty cells and missing rows."""
    empty = any(engine not in each["engines"] for each in losses.values() for engine in _compared(losses))
    absent = [f"`{name}`" for name in MODELS if name not in losses]
    what = [*(["Empty cells"] if empty else []), *absent]
    return f" Not measured: {', '.join(what).lower()}." if what else ""


def _missing(networks: NETWORKS) -> list[list[str]]:
    rows = []
    for name, each in networks.items():
        by_reason: dict[str, list[str]] = {}
        for engine, found in each["engines"].items():
            if "error" in found:
                reason = found["error"].removeprefix("InputError: ").replace("|", "/")
                by_reason.setdefault(reason, []).append(engine)
        rows += [[f"`{name}`", ", ".join(engines), reason] for reason, engines in by_reason.items()]
    return rows


def _acceptable(losses: NETWORKS, name: str, engine: str) -> bool:
    """Whether an engine changes a network's scores by as little as is asked of bfloat16."""
    found = losses.get(name, {}).get("engines", {}).get(engine, {})
    return keeps_its_digits(found)


def _summary(times: Mapping[str, NETWORKS], losses: NETWORKS) -> list[list[str]]:
    """Return a row for each engine that is not PyTorch's own, on each kind of processor."""
    rows = []
    for kind, networks in times.items():
        for engine in _engines(networks):
            if engine.startswith("PyTorch"):
                continue
            gains = {name: gains_of(each["engines"]).get(engine) for name, each in networks.items()}
            taken = {name: gain for name, gain in gains.items() if gain is not None}
            won = [name for name, gain in taken.items() if gain >= GAIN and _acceptable(losses, name, engine)]
            span = f"{min(taken.values()):.2f} to {max(taken.values()):.2f}" if taken else ""
            within = f"{len(won)} at least {GAIN} within the bounds" + (f": {', '.join(won)}" if won else "")
            rows.append([kind, engine, f"{len(taken)} of {len(networks)}", span, within])
    return rows


def winners(times: Mapping[str, NETWORKS], losses: NETWORKS) -> list[str]:
    """Return the engines that gain at least `GAIN` within the bounds, for every network on every kind of processor."""
    engines = {engine for networks in times.values() for engine in _engines(networks)}
    return [
        engine
        for engine in sorted(engines)
        if all(
            gains_of(each["engines"]).get(engine, 0) >= GAIN and _acceptable(losses, name, engine)
            for networks in times.values()
            for name, each in networks.items()
        )
    ]


def _verdict(times: Mapping[str, NETWORKS], losses: NETWORKS) -> str:
    found = winners(times, losses)
    asked = (
        f"An engine would be offered if it were {GAIN} times as fast as the default for every network, within the "
        "bounds for bfloat16: 0.01 dB, 0.0005 SSIM, 0.05 degrees."
    )
    if not found:
        return f"{asked} None is, so `finewave predict` has no option for one."
    return f"{asked} That is {', '.join(found)}."


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 118, break_on_hyphens=False, break_long_words=False)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(each) + " |" for each in (header, ["---"] * len(header), *rows)]
