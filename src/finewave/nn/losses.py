"""Losses between images, available to every system under the names used in recipes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

DARK = 1e-3
"""Lower bound of the divisor of relative errors, in reflectance."""

# Values of a term processed at a time: on a CPU as many as fit into its cache.
CHUNK_VALUES = {"cpu": 65_536}


def l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference, in float32 at least."""
    return l1_terms([prediction], target)[0]


def l1_terms(estimates: Sequence[Tensor], target: Tensor) -> Tensor:
    """Mean absolute difference of each of K estimates from one target.

    Equal to K calls of ``torch.nn.functional.l1_loss``, with less memory traffic: values pass through the cache once in
    each direction, the target is read once for all estimates, and no extra tensors are kept.

    Parameters
    ----------
    estimates : sequence of K Tensors
        Of one shape, in any floating type; the differences and their sums are made in float32 at least.
    target : Tensor
        Of the same shape; no gradient flows to it.

    Returns
    -------
    Tensor (K,)
        The means, differentiable with respect to the estimates; in float32, or float64 if an argument is.
    """
    return _L1Terms.apply(target, *estimates)


class _L1Terms(torch.autograd.Function):
    """`l1_terms`; the sign of each difference is recomputed in the backward pass, not stored."""

    @staticmethod
    def forward(ctx: Any, target: Tensor, *estimates: Tensor) -> Tensor:
        if any(u.shape != target.shape for u in estimates):
            raise ValueError(f"target {tuple(target.shape)}, estimates {[tuple(u.shape) for u in estimates]}")
        ctx.save_for_backward(target, *estimates)
        dtype = _at_least_single(target, *estimates)
        sums = torch.zeros(len(estimates), dtype=torch.float64, device=target.device)
        order = _memory_order(target)
        for t, *pieces in _pieces(*(_flat(x, order) for x in (target, *estimates))):
            t = t.to(dtype)
            difference = torch.empty_like(t)
            for k, u in enumerate(pieces):
                sums[k] += torch.sub(u, t, out=difference).abs_().sum()  # pairwise summation, unlike norm
        return (sums / target.numel()).to(dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        target, *estimates = ctx.saved_tensors
        dtype = _at_least_single(target, *estimates)
        scale = gradient.to(dtype) / target.numel()
        order = _memory_order(target)
        flat = [torch.empty(target.numel(), dtype=u.dtype, device=u.device) for u in estimates]
        for t, *pieces in _pieces(*(_flat(x, order) for x in (target, *estimates)), *flat):
            t = t.to(dtype)
            for k, (u, out) in enumerate(zip(pieces[: len(flat)], pieces[len(flat) :], strict=True)):
                difference = out if out.dtype == dtype else torch.empty_like(t)
                torch.sub(u, t, out=difference).sign_().mul_(scale[k])
                if difference is not out:
                    out.copy_(difference)
        shape, back = [target.shape[axis] for axis in order], [order.index(axis) for axis in range(target.ndim)]
        return None, *(values.view(shape).permute(back) for values in flat)


def _at_least_single(*tensors: Tensor) -> torch.dtype:
    return torch.float64 if any(x.dtype == torch.float64 for x in tensors) else torch.float32


def _memory_order(x: Tensor) -> list[int]:
    """Return the axes in memory order, the slowest first."""
    return sorted(range(x.ndim), key=x.stride, reverse=True)


def _flat(x: Tensor, order: list[int]) -> Tensor:
    """Return all values in the memory order of another tensor: a view if the layouts are equal."""
    return x.permute(order).reshape(-1)


def _pieces(*flat: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield the same part of every tensor, one part after the other."""
    size = CHUNK_VALUES.get(flat[0].device.type, flat[0].numel())
    yield from zip(*(x.split(size) for x in flat), strict=True)


def squared(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference, in float32 at least.

    Where the input does not determine the output (red light to which the camera hardly responds), the absolute error is
    minimal at the median of the possible values, the squared error, and so PSNR, at the mean.
    """
    return F.mse_loss(prediction if prediction.dtype.itemsize >= 4 else prediction.float(), target)


def spectral_angle(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean of 1 - cos of the angle between spectra (B, C, H, W); dark pixels count as much as bright ones.

    Only every fourth pixel is used: neighbours are alike, so the mean is as accurate in a quarter of the time.
    """
    p, t = prediction[..., ::2, ::2].float(), target[..., ::2, ::2]
    return 1 - F.cosine_similarity(p, t, dim=1, eps=1e-6).mean()


def smooth_l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Huber loss with beta 1: half the square up to a difference of 1, linear beyond."""
    return F.smooth_l1_loss(prediction.to(target.dtype), target)


def mrae(prediction: Tensor, target: Tensor, darkest: float = DARK) -> Tensor:
    """Mean relative absolute error, |p - t| / max(t, ``darkest``).

    The published definition divides by the target alone, which is infinite where that is zero.
    """
    return ((prediction.to(target.dtype) - target).abs() / target.clamp(min=darkest)).mean()


def sam(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean angle in radians between spectra of (B, C, H, W)."""
    cosine = F.cosine_similarity(prediction.float(), target.float(), dim=1, eps=1e-6)
    return torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6)).mean()  # the slope of acos is infinite at 1


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": l1,
    "mse": squared,
    "smooth_l1": smooth_l1,
    "mrae": mrae,
    "sam": sam,
}
