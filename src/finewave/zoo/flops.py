"""Operations of a network, counted, not timed: the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch


def flops_of(work: Callable[[], Any]) -> dict[str, float]:
    """Return FLOPs of one run: ``"all"`` convolutions and matrix products, and the ``"convolutions"`` among them.

    One multiply-add is two. Interpolation, selection and element-wise work are not counted.
    """
    from torch.utils.flop_counter import FlopCounterMode

    fused = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)  # PyTorch's counter knows its own operators only
    counter = FlopCounterMode(display=False, custom_mapping={fused: _flops_of_fused} if fused is not None else {})
    with counter:
        work()
    by_operator = counter.get_flop_counts().get("Global", {})
    convolutions = sum(count for operator, count in by_operator.items() if "convolution" in str(operator))
    return {"all": float(counter.get_total_flops()), "convolutions": float(convolutions)}


def _flops_of_fused(x: Any, second: Any, third: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """FLOPs of oneDNN's convolution, from shapes; where it adds a residual, that stands before the weight."""
    weight = third if third is not None and len(third) == 4 else second
    return 2 * math.prod(out_shape) * math.prod(weight[1:])
