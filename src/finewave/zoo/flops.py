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

    # what PyTorch's counter does not know: oneDNN's convolution, and attention on a processor
    known = (
        (torch.ops.mkldnn, "_convolution_pointwise", _flops_of_fused),
        (torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", _flops_of_attention),
        (torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu_backward", _flops_of_attention_gradient),
    )
    mapping = {getattr(place, name): count for place, name, count in known if hasattr(place, name)}
    counter = FlopCounterMode(display=False, custom_mapping=mapping)
    with counter:
        work()
    by_operator = counter.get_flop_counts().get("Global", {})
    convolutions = sum(count for operator, count in by_operator.items() if "convolution" in str(operator))
    return {"all": float(counter.get_total_flops()), "convolutions": float(convolutions)}


def _flops_of_attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    """FLOPs of softmax(q k^T) v, of shapes (B, heads, N, d): two matrix products."""
    batch, heads, n, width = query
    return 2 * batch * heads * n * key[2] * (width + value[3])


def _flops_of_attention_gradient(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    """FLOPs of its gradients: the scores again, and two products for each of the two."""
    batch, heads, n, width = query
    return 2 * batch * heads * n * key[2] * (3 * width + 2 * value[3])


def _flops_of_fused(x: Any, second: Any, third: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """FLOPs of oneDNN's convolution, from shapes; where it adds a residual, that stands before the weight."""
    weight = third if third is not None and len(third) == 4 else second
    return 2 * math.prod(out_shape) * math.prod(weight[1:])
