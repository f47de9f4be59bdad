"""Window attention as PyTorch custom operators: differentiable once, and opaque to its compilers.

On a CPU they run compiled (`window_attention_cpu`), elsewhere or without Numba in PyTorch
(`window_attention_reference`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from finewave.extras import how_to_install
from finewave.nn.kernels import window_attention_reference as plain
from finewave.warnings import FinewaveWarning


@cache
def compiled() -> ModuleType | None:
    """Return the compiled operators, or None without Numba, which is an extra and does not exist for every machine."""
    try:
        from finewave.nn.kernels import window_attention_cpu
    except ImportError:
        warnings.warn(
            f"without Numba, window attention on a processor is slower: {how_to_install('fast')}",
            FinewaveWarning,
            stacklevel=2,
        )
        return None
    return window_attention_cpu


# --- Attention ----------------------------------------------------------------------------------------------------

attention = torch.library.custom_op(
    "finewave::window_attention",
    plain.attention,
    mutates_args=(),
    schema="(Tensor phi, Tensor theta, Tensor value, int window, int k, bool keep) -> (Tensor, Tensor, Tensor)",
)
_attention_backward = torch.library.custom_op(
    "finewave::window_attention_backward",
    plain.attention_backward,
    mutates_args=(),
    schema="(Tensor gradient, Tensor phi, Tensor theta, Tensor value, Tensor indices, Tensor weights, int window)"
    " -> (Tensor, Tensor, Tensor)",
)


@attention.register_kernel("cpu")
def _attention_on_cpu(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    return (compiled() or plain).attention(*arguments)


@_attention_backward.register_kernel("cpu")
def _attention_backward_on_cpu(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    return (compiled() or plain).attention_backward(*arguments)


@attention.register_fake
def _attention_shapes(phi: Tensor, theta: Tensor, value: Tensor, window: int, k: int, keep: bool) -> tuple[Tensor, ...]:
    kept = (*value.shape[:3], k) if keep else (0, 0, 0, 0)
    return torch.empty_like(value), value.new_empty(kept, dtype=plain.position_type(window)), value.new_empty(kept)


@_attention_backward.register_fake
def _attention_backward_shapes(
    gradient: Tensor, phi: Tensor, theta: Tensor, value: Tensor, *_: Any
) -> tuple[Tensor, ...]:
    return torch.empty_like(phi), torch.empty_like(theta), torch.empty_like(value)


def _attention_keeps(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    phi, theta, value, ctx.window, *_ = inputs
    _, indices, weights = output
    ctx.mark_non_differentiable(indices, weights)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(phi, theta, value, indices, weights)


def _attention_gradient(ctx: Any, gradient: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
    if gradient is None:
        return (None,) * 6
    return *_attention_backward(gradient.contiguous(), *ctx.saved_tensors, ctx.window), None, None, None


attention.register_autograd(_attention_gradient, setup_context=_attention_keeps)


# --- The MLP over the heads ---------------------------------------------------------------------------------------

combination = torch.library.custom_op(
    "finewave::head_combination",
    plain.combination,
    mutates_args=(),
    schema="(Tensor[] heads, Tensor weight1, Tensor bias1, Tensor weight2, Tensor bias2) -> Tensor",
)
_combination_backward = torch.library.custom_op(
    "finewave::head_combination_backward",
    plain.combination_backward,
    mutates_args=(),
    schema="(Tensor gradient, Tensor[] heads, Tensor weight1, Tensor bias1, Tensor weight2)"
    " -> (Tensor[], Tensor, Tensor, Tensor, Tensor)",
)


def _for_heads(heads: Sequence[Tensor]) -> ModuleType:
    module = compiled()
    return plain if module is None or len(heads) > module.HEADS else module


@combination.register_kernel("cpu")
def _combination_on_cpu(heads: Sequence[Tensor], *arguments: Tensor) -> Tensor:
    return _for_heads(heads).combination(heads, *arguments)


@_combination_backward.register_kernel("cpu")
def _combination_backward_on_cpu(gradient: Tensor, heads: Sequence[Tensor], *arguments: Tensor) -> tuple[Any, ...]:
    return _for_heads(heads).combination_backward(gradient, heads, *arguments)


@combination.register_fake
def _combination_shape(heads: Sequence[Tensor], *_: Tensor) -> Tensor:
    return torch.empty_like(heads[0])


@_combination_backward.register_fake
def _combination_backward_shapes(
    gradient: Tensor, heads: Sequence[Tensor], weight1: Tensor, bias1: Tensor, weight2: Tensor
) -> tuple[Any, ...]:
    weights = (torch.empty_like(t) for t in (weight1, bias1, weight2))
    return [torch.empty_like(head) for head in heads], *weights, gradient.new_empty(1)


def _combination_keeps(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    heads, weight1, bias1, weight2, _ = inputs
    ctx.save_for_backward(weight1, bias1, weight2, *heads)


def _combination_gradient(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    weight1, bias1, weight2, *heads = ctx.saved_tensors
    return _combination_backward(gradient.contiguous(), heads, weight1, bias1, weight2)


combination.register_autograd(_combination_gradient, setup_context=_combination_keeps)
