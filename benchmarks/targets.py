"""What the figures of a run say about each other: ratios, shares of the machine's peak, targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Result = dict[str, Any]
GIB = 2**30
_SAID = ("patch", "size", "crop", "batch", "keeps_memory")  # of a measurement's options, by its ratio


def find(results: Sequence[Result], group: str, variant: str = "finewave", **wanted: Any) -> Result | None:
    """Return the first result of a group whose precision or options are as wanted; None where there is none."""
    for result in results:
        if result["group"] != group or result["variant"] != variant or "error" in result:
            continue
        facts = {**result["options"], "precision": result["precision"]}
        if all(facts.get(key) == value for key, value in wanted.items()):
            return result
    return None


def _as_plain(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the plain counterpart: in a process as it comes, where freed memory is not kept."""
    return {**options, "keeps_memory": None, "times_only": None}


def ratios_of(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return, for each measurement that has a plain counterpart, how many times faster and smaller it is."""
    ratios = []
    for result in results:
        if result["variant"] != "finewave" or "seconds" not in result or result["options"].get("checkpoint"):
            continue
        plain = find(results, result["group"], "plain", **_as_plain(result["options"]))
        if plain is None:
            continue
        ratios.append(
            {
                "group": result["group"],
                "precision": result["precision"],
                "options": {k: v for k, v in result["options"].items() if k in _SAID},
                "faster": plain["seconds"] / result["seconds"],
                "smaller": plain["peak_bytes"] / max(1, result["peak_bytes"]),
            }
        )
    return ratios


def growth_of(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return time and memory per pixel of each image size, as multiples of the smallest one's."""
    measured = [r for r in results if r["group"] == "growth" and "error" not in r]
    if not measured:
        return []
    first = measured[0]
    return [
        {
            "crop": r["options"]["crop"],
            "seconds": r["seconds"],
            "peak_bytes": r["peak_bytes"],
            "time_per_pixel": r["seconds"] / first["seconds"] * first["pixels"] / r["pixels"],
            "memory_per_pixel": r["peak_bytes"] / max(1, first["peak_bytes"]) * first["pixels"] / r["pixels"],
        }
        for r in measured
    ]


def shares_of(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return the arithmetic achieved, and its share of the larger of the two peaks in the same precision.

    The convolutions' own rate divides their FLOPs by the time that a profile gives to them.
    """
    peak = find(results, "peak")
    shares = []
    for result in results:
        if "flops" not in result or result["group"] == "system":
            continue
        flops, operators = result["flops"], result.get("operators", {})
        convolving = sum(seconds for name, seconds in operators.items() if "conv" in name)
        row = {
            "group": result["group"],
            "precision": result["precision"],
            "flops": flops["all"],
            "flops_per_second": flops["all"] / result["seconds"],
            "convolutions_per_second": flops["convolutions"] / convolving if convolving else None,
            "share": None,
            "convolutions_share": None,
        }
        if peak is not None:
            best = max(peak["flops_per_second"][f"{kind}_{row['precision']}"] for kind in ("matrix", "convolution"))
            row["share"] = row["flops_per_second"] / best
            if row["convolutions_per_second"] is not None:
                row["convolutions_share"] = row["convolutions_per_second"] / best
        shares.append(row)
    return shares


def targets_of(results: Sequence[Result], machine: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the targets set for this network on this machine: what, at least or at most, measured, reached.

    A target whose measurements are missing has ``measured`` and ``reached`` None.
    """
    amx, gpu = machine["amx_bf16"], machine["gpu"] is not None

    def ratio(key: str, group: str, precision: str = "float32", **options: Any) -> float | None:
        fast = find(results, group, precision=precision, times_only=None, **options)
        plain = find(results, group, "plain", **_as_plain(options))
        if fast is None or plain is None:
            return None
        return plain[key] / max(1e-9, fast[key])

    def gib(**options: Any) -> float | None:
        result = find(results, "post", **options)
        return None if result is None else result["peak_bytes"] / GIB

    growth = growth_of(results)
    last = growth[-1] if len(growth) > 1 else None
    shares = [row for row in shares_of(results) if row["group"] == "forward" and row["precision"] == "bfloat16"]
    convolutions = shares[0]["convolutions_share"] if shares else None
    rows: list[tuple[str, str, float, float | None]] = []
    if gpu:
        rows += [
            ("forward pass, bfloat16, times faster", ">=", 5, ratio("seconds", "forward", "bfloat16")),
            ("training step, bfloat16, times faster", ">=", 4, ratio("seconds", "train", "bfloat16")),
            ("convolutions, bfloat16, share of the peak", ">=", 0.4, convolutions),
        ]
    rows += [
        ("attention head, P = 5, times faster", ">=", 15, ratio("seconds", "head", patch=5)),
        ("attention head, P = 11, times faster", ">=", 25, ratio("seconds", "head", patch=11)),
        ("post-processing at 512 x 512, C = 31, times less memory", ">=", 15, ratio("peak_bytes", "post", hs_bands=31)),
        ("post-processing at 1096 x 715, C = 102, GiB", "<=", 3, gib(hs_bands=102)),
    ]
    if not gpu:
        rows.append(("whole network, float32, times faster", ">=", 4, ratio("seconds", "forward")))
    if amx and not gpu:
        rows += [
            ("whole network, bfloat16, times faster", ">=", 15, ratio("seconds", "forward", "bfloat16")),
            ("training step, 64 features, batch 8, times faster", ">=", 5, ratio("seconds", "train", "bfloat16")),
        ]
    rows += [
        ("time per pixel, largest image against smallest", "<=", 1.15, last["time_per_pixel"] if last else None),
        ("memory per pixel, largest image against smallest", "<=", 1.15, last["memory_per_pixel"] if last else None),
    ]
    return _judged(rows)


def of_tiles(result: Result) -> bool:
    """Whether a run on a whole scene is one of those that compare tiles."""
    return result["options"].get("tile") is not None


def is_one_piece(result: Result) -> bool:
    """Whether a run on a whole scene has one tile."""
    return of_tiles(result) and result["options"]["tile"] == result["options"]["size"][0]


def scene_targets(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return the targets set for whole scenes, as `targets_of` does."""
    done = [result for result in results if result["group"] == "scene" and "error" not in result]

    def of(**wanted: Any) -> list[Result]:
        return [r for r in done if all(r["options"].get(key) == value for key, value in wanted.items())]

    whole = of(workers=None, tile=None, weights=None)
    cut = {
        ("one piece" if is_one_piece(r) else r["options"]["halo"]): r["seconds"]
        for r in done
        if of_tiles(r) and not r["options"].get("weights")
    }
    one, two = of(workers=1), of(workers=2)
    rows: list[tuple[str, str, float, float | None]] = [
        ("memory of predict, 4.2 GB of output, GB", "<=", 4, whole[0]["peak_bytes"] / 1e9 if whole else None),
        (
            "the same for a scene twice as long, times as much",
            "<=",
            1.1,
            whole[1]["peak_bytes"] / whole[0]["peak_bytes"] if len(whole) > 1 else None,
        ),
        *(
            (
                f"tiles of 512 output pixels with the {halo} halo, time above one piece",
                "<=",
                0.25,
                cut[halo] / cut["one piece"] - 1 if {halo, "one piece"} <= cut.keys() else None,
            )
            for halo in ("fast", "exact")
        ),
        (
            "two workers of one thread, times faster than one",
            ">=",
            1.7,
            one[0]["seconds"] / two[0]["seconds"] if one and two else None,
        ),
        (
            "the same from the first tile to the last, tiles in a second",
            ">=",
            1.7,
            _pace(two[0]) / _pace(one[0]) if one and two else None,
        ),
    ]
    users = [row for result in done if result["options"].get("no_options") for row in _of_defaults(result)]
    piece = next((r for r in of(weights=SHIPPED) if of_tiles(r)), None)
    if piece is not None:
        tiled = next((r for r in of(weights=SHIPPED, tile=None, no_options=None)), None)
        extra = None if tiled is None else tiled["seconds"] / piece["seconds"] - 1
        users.append((f"{SHIPPED}, default tiles, time above one piece", "<=", 0.25, extra))
    return _judged([*users, *rows])


SHIPPED = "jssunet-cave-x4"
_ASKED = {512 * 512: (60, 1.5), 128 * 128: (5, 1.5), 3000 * 4000: (240, 4)}
"""Seconds and GB for pixels of the scene, without options."""


def _of_defaults(result: Result) -> list[tuple[str, str, float, float | None]]:
    """Return the targets of a run with weights that ship and no options."""
    rows, columns = result["options"]["size"]
    what = f"{result['options']['weights']}, {rows:,} x {columns:,} pixels"
    seconds, memory = _ASKED[rows * columns]
    return [
        (f"{what}, everything, s", "<=", seconds, result["seconds"]),
        (f"{what}, memory, GB", "<=", memory, result["peak_bytes"] / 1e9),
    ]


def _pace(result: Result) -> float:
    return float(result["tiles"] / max(1e-9, result["tiles_seconds"]))


def _judged(rows: Sequence[tuple[str, str, float, float | None]]) -> list[dict[str, Any]]:
    return [
        {
            "what": what,
            "bound": bound,
            "target": target,
            "measured": measured,
            "reached": None if measured is None else (measured >= target if bound == ">=" else measured <= target),
        }
        for what, bound, target, measured in rows
    ]
