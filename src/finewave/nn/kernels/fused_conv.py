"""Convolutions fused with residual and ReLU, in the precision of inner features, without extra passes over memory.

On matrix units, convolutions take no longer than the element-wise operations after them. On CPUs, oneDNN adds a
residual and applies a ReLU while it writes a convolution's output; elsewhere PyTorch's operators are used.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.nn.exporting import exporting


def features_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype of inner features computed from ``x``: that of mixed precision, where enabled."""
    device = x.device.type
    # double-precision input is kept: the caller chose it
    mixed = torch.is_autocast_enabled(device) and x.dtype != torch.float64
    return torch.get_autocast_dtype(device) if mixed else x.dtype


def as_features(x: Tensor) -> Tensor:
    """Return ``x`` in the dtype of inner features."""
    return x.to(features_dtype(x))


def fused_conv(x: Tensor, conv: nn.Conv2d, *, residual: Tensor | None = None, relu: bool = False) -> Tensor:
    """Apply ``conv`` in the dtype of inner features, add ``residual``, apply a ReLU.

    Parameters
    ----------
    x : Tensor
        (B, in, H, W).
    conv : nn.Conv2d
        With zero padding.
    residual : Tensor, optional
        Of the output's shape, in the dtype of inner features.
    relu : bool
        Whether to apply a ReLU at the end.
    """
    x = as_features(x)
    if conv._forward_hooks:  # call the layer as a module, or its hooks would not run
        y = conv(x)
        y = y.clone() if residual is None else y + residual  # may be overwritten, unlike what a hook has seen
        return F.relu(y) if relu else y
    training = torch.is_grad_enabled() and (x.requires_grad or conv.weight.requires_grad)
    # converted each time: optimisers change weights without a trace that a kept copy could be checked by
    weight, bias = conv.weight.to(x.dtype), None if conv.bias is None else conv.bias.to(x.dtype)
    if _onednn_takes(x):
        if training:
            return _FusedConv.apply(x, weight, bias, residual, relu, conv)
        return _onednn(x, weight, bias, residual, relu, conv)
    y = F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)
    if residual is not None:
        y = y + residual if training else y.add_(residual)
    return F.relu(y, inplace=True) if relu else y  # the backward pass does not need y


def fused_resblock(x: Tensor, conv1: nn.Conv2d, conv2: nn.Conv2d, conv3: nn.Conv2d) -> Tensor:
    """Return ReLU(x + conv3(ReLU(conv2(ReLU(conv1(x)))))), for convolutions without biases."""
    x = as_features(x)
    convs = (conv1, conv2, conv3)
    training = torch.is_grad_enabled() and (x.requires_grad or any(c.weight.requires_grad for c in convs))
    if training and _onednn_takes(x):
        return _FusedResBlock.apply(x, *(c.weight.to(x.dtype) for c in convs), convs)
    y = fused_conv(x, conv1, relu=True)
    y = fused_conv(y, conv2, relu=True)
    return fused_conv(y, conv3, residual=x, relu=True)


# --- In oneDNN ----------------------------------------------------------------------------------------------------

_HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
_DTYPES = {torch.float32}
if _HAS_ONEDNN and torch.ops.mkldnn._is_mkldnn_bf16_supported():
    _DTYPES.add(torch.bfloat16)


def _onednn_takes(x: Tensor) -> bool:
    """Return whether oneDNN's fused convolution applies to ``x``; not while compiling or exporting."""
    if not (_HAS_ONEDNN and x.device.type == "cpu" and x.dtype in _DTYPES):
        return False
    return bool(torch.backends.mkldnn.enabled) and not (torch.compiler.is_compiling() or exporting())


def _onednn(
    x: Tensor, weight: Tensor, bias: Tensor | None, residual: Tensor | None, relu: bool, conv: nn.Conv2d
) -> Tensor:
    geometry = (_pair(conv.padding), conv.stride, conv.dilation, conv.groups)
    x = x.contiguous(memory_format=torch.channels_last)
    if residual is None:
        return torch.ops.mkldnn._convolution_pointwise(x, weight, bias, *geometry, "relu" if relu else "none", [], "")
    residual = residual.contiguous(memory_format=torch.channels_last)
    if not (_is_plainly_channels_last(x) and _is_plainly_channels_last(residual)):
        y = torch.ops.mkldnn._convolution_pointwise(x, weight, bias, *geometry, "none", [], "").add_(residual)
        return F.relu(y, inplace=True) if relu else y
    return torch.ops.mkldnn._convolution_pointwise(
        x, residual, weight, bias, *geometry, "add", 1.0, "relu" if relu else None, [], ""
    )


def _is_plainly_channels_last(x: Tensor) -> bool:
    """Return whether the layout is unambiguous (no axis of length 1): PyTorch's fused sum needs equal strides."""
    _, C, H, W = x.shape
    return min(C, H, W) > 1 and x.stride() == (C * H * W, 1, W * C, C)


def _onednn_backward(
    gradient: Tensor, x: Tensor, weight: Tensor, has_bias: bool, conv: nn.Conv2d, needed: tuple[bool, bool, bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of input, weight and bias, where needed."""
    sizes = [weight.shape[0]] if has_bias else None
    geometry = (conv.stride, _pair(conv.padding), conv.dilation, False, (0, 0), conv.groups)
    return torch.ops.aten.convolution_backward(gradient, x, weight, sizes, *geometry, needed)


def _pair(padding: Any) -> tuple[int, ...]:
    assert isinstance(padding, tuple), "named padding is not supported"
    return padding


class _FusedConv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        residual: Tensor | None,
        relu: bool,
        conv: nn.Conv2d,
    ) -> Tensor:
        y = _onednn(x, weight, bias, residual, relu, conv)
        ctx.save_for_backward(x, weight, y if relu else None)
        ctx.has_bias, ctx.conv = bias is not None, conv
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, y = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        if y is not None:
            gradient = torch.ops.aten.threshold_backward(gradient, y, 0)
        needed = (ctx.needs_input_grad[0], ctx.needs_input_grad[1], ctx.has_bias and ctx.needs_input_grad[2])
        gradients = _onednn_backward(gradient, x, weight, ctx.has_bias, ctx.conv, needed)
        return *gradients, gradient if ctx.needs_input_grad[3] else None, None, None


class _FusedResBlock(torch.autograd.Function):
    """The whole block as one function, so that inner gradients can be masked in place."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight1: Tensor, weight2: Tensor, weight3: Tensor, convs: tuple[nn.Conv2d, ...]
    ) -> Tensor:
        y1 = _onednn(x, weight1, None, None, True, convs[0])
        y2 = _onednn(y1, weight2, None, None, True, convs[1])
        y = _onednn(y2, weight3, None, x, True, convs[2])
        ctx.save_for_backward(x, y1, y2, y, weight1, weight2, weight3)
        ctx.convs = convs
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, y1, y2, y, weight1, weight2, weight3 = ctx.saved_tensors
        needs_x, *needs = ctx.needs_input_grad[:4]
        mask, mask_in_place = torch.ops.aten.threshold_backward, torch.ops.aten.threshold_backward.grad_input
        outer = mask(gradient.contiguous(memory_format=torch.channels_last), y, 0)
        inner, gradient3, _ = _onednn_backward(outer, y2, weight3, False, ctx.convs[2], (True, needs[2], False))
        mask_in_place(inner, y2, 0, grad_input=inner)
        inner, gradient2, _ = _onednn_backward(inner, y1, weight2, False, ctx.convs[1], (True, needs[1], False))
        mask_in_place(inner, y1, 0, grad_input=inner)
        inner, gradient1, _ = _onednn_backward(inner, x, weight1, False, ctx.convs[0], (needs_x, needs[0], False))
        return inner.add_(outer) if needs_x else None, gradient1, gradient2, gradient3, None
