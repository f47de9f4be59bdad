"""Comparison of finewave.metrics with the reference values of one case file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from finewave.metrics import Convention, cc, ergas, evaluate, get_convention, psnr, rmse, sam, ssim

# The references were computed in float32 for the most part. An angle comes from a cosine, which float32 knows
# to two units in the last place; the smaller the angle, the less that says about it.
RELATIVE, ABSOLUTE = 1e-5, 1e-7
COSINE = 2 * 2.0**-23

Metric = Callable[[Tensor, Tensor], float]

# The reference's metric function does not clip; its driver does before.
_MULSR_UNCLIPPED = replace(get_convention("mulsr"), clip=False)


def _named(convention: str | Convention, name: str, scale: float = 4) -> Metric:
    """A value of `evaluate` in a convention."""
    return lambda pred, target: evaluate(pred, target, scale, convention=convention)[name]


def _with_ratios(values: dict[str, Metric], convention: str | Convention) -> dict[str, Metric]:
    """The same with ERGAS at three scales."""
    return values | {f"ergas_ratio{scale}": _named(convention, "ergas", scale) for scale in (2, 4, 8)}


def _unclipped_psnr(pred: Tensor, target: Tensor) -> float:
    """PSNR as the reference of MulSR has it: 100 dB for identical images."""
    value = evaluate(pred, target, convention=_MULSR_UNCLIPPED)["psnr"]
    return value if math.isfinite(value) else 100.0


_METRICS: dict[str, dict[str, Metric]] = {
    "mulsr_convention": _with_ratios(
        {
            "psnr": _unclipped_psnr,
            "rmse": _named(_MULSR_UNCLIPPED, "rmse"),
            "sam_deg": _named(_MULSR_UNCLIPPED, "sam"),
            "ssim": _named(_MULSR_UNCLIPPED, "ssim"),
        },
        _MULSR_UNCLIPPED,
    ),
    "sspsr_convention": _with_ratios(
        {
            "cc": _named("sspsr", "cc"),
            "psnr": _named("sspsr", "psnr"),
            "rmse": _named("sspsr", "rmse"),
            "sam_deg": _named("sspsr", "sam"),
            "ssim": _named("sspsr", "ssim"),
        },
        "sspsr",
    ),
    "sschsr_convention": {
        "psnr": _named("ssc-hsr", "psnr"),
        "sam_deg": _named("ssc-hsr", "sam"),
        "sam_rad": lambda pred, target: sam(pred[0], target[0], zeros="additive", degrees=False),
        "ssim_data_range1": _named("ssc-hsr", "ssim"),
        "ssim_data_range2_legacy_float_default": lambda pred, target: ssim(
            pred[0], target[0], data_range=2.0, variant="uniform7"
        ),
    },
    "torchmetrics_convention": {
        "cc": lambda pred, target: cc(pred[0], target[0]),
        "psnr": lambda pred, target: psnr(pred[0], target[0]),
        "rmse": lambda pred, target: rmse(pred[0], target[0]),
        "sam_deg": lambda pred, target: sam(pred[0], target[0], zeros="nan"),
        "sam_rad": lambda pred, target: sam(pred[0], target[0], zeros="nan", degrees=False),
        "ssim_full_reflect_torchmetrics_1_9": lambda pred, target: ssim(pred[0], target[0], variant="gauss-reflect"),
        "ssim_valid_torchmetrics_1_4": _named("jssunet", "ssim"),
        # The ratio is 4 in this convention whatever the scale.
        "ergas_swapped_default_ratio4": _named("jssunet", "ergas", 8),
        "ergas_ratio2": lambda pred, target: ergas(pred[0], target[0], 2),
        "ergas_ratio4": _named("jssunet", "ergas_4", 8),
        "ergas_ratio8": lambda pred, target: ergas(pred[0], target[0], 8),
    },
}


def _tolerance(metric: str, value: float) -> float:
    """Largest difference from a reference value."""
    tolerance = max(RELATIVE * abs(value), ABSOLUTE)
    if not metric.startswith("sam"):
        return tolerance
    radians = math.radians(value) if metric == "sam_deg" else value
    uncertain = COSINE / max(radians, math.sqrt(2 * COSINE))
    return max(tolerance, math.degrees(uncertain) if metric == "sam_deg" else uncertain)


def check_metrics_case(path: str | Path) -> int:
    """Compare every value of a case file.

    Parameters
    ----------
    path : str or Path
        A safetensors file with ``input.pred``, ``input.target`` (1, C, H, W), an
        ``output.<convention>.<metric>`` for every finite value, and all values in the metadata's
        ``config.values`` (null: not finite).

    Returns
    -------
    int
        Number of values compared.

    Raises
    ------
    AssertionError
        If a value differs, a stored one is not among those of the metadata, or no metric is known for it.
    """
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["config"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    assert config["layout"] == "B,C,H,W"
    assert config["data_range"] == 1.0
    pred, target = tensors["input.pred"], tensors["input.target"]
    assert pred.shape[0] == 1, "the functions of single images are called with the first one"

    wanted = {
        f"{convention}.{metric}": value
        for convention, values in config["values"].items()
        for metric, value in values.items()
    }
    finite = {key for key, value in wanted.items() if value is not None}
    stored = {key.removeprefix("output.") for key in tensors if key.startswith("output.")}
    assert stored == finite, "the tensors and the metadata name different values"

    differences = []
    for key, value in wanted.items():
        convention, metric = key.split(".")
        known = _METRICS.get(convention, {})
        assert metric in known, f"no metric of finewave is known for {key}"
        ours = known[metric](pred, target)
        if value is None:
            if math.isfinite(ours):
                differences.append(f"{key}: {ours}, not finite expected")
        elif not math.isclose(ours, value, rel_tol=0.0, abs_tol=_tolerance(metric, value)):
            differences.append(f"{key}: {ours}, {value} expected")
        elif not math.isclose(float(tensors[f"output.{key}"]), value, rel_tol=1e-6):
            differences.append(f"{key}: tensor and metadata of the case differ")
    assert not differences, "\n".join(differences)
    return len(wanted)
