"""A head start for networks without a shortcut: the last convolution by least squares, before the gradients.

At random initial values, the layers before a network's last convolution are random features, and a linear regression on
them is the best initialisation of the convolution. (Random features with a linear readout: G.-B. Huang, Q.-Y. Zhu,
C.-K. Siew, "Extreme learning machine", Neurocomputing 70, 2006.) Otherwise the first thousands of steps would
approximate this closed-form solution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.datasets.patches import Sample
from finewave.errors import InputError

RIDGE = 1e-4
"""Weight of the penalty on the coefficients, in units of how far each feature varies."""


@torch.no_grad()
def fit_last_convolution(
    net: nn.Module, samples: Iterable[Sample], output_of: Callable[[Sample], Tensor], ridge: float = RIDGE
) -> nn.Conv2d:
    """Set weight and bias of the last convolution to the least-squares fit of the output to the target.

    Parameters
    ----------
    net : nn.Module
        Its output is a convolution's, plus something that this convolution has no part in. ``net.output`` names the
        target.
    samples : iterable of dict of Tensor
        Batches of images by name, of one size.
    output_of : callable
        Returns the output of ``net`` for a batch.
    ridge : float
        See `RIDGE`.

    Returns
    -------
    nn.Conv2d
        The convolution that was set.

    Raises
    ------
    InputError
        If the network does not end in such a convolution, or there is no sample.
    """
    training = net.training
    net.eval()
    layer: nn.Conv2d | None = None
    normal = moment = None
    for sample in samples:
        if layer is None:
            layer = _last_convolution(net, partial(output_of, sample))
            layer.weight.zero_()  # large values at random could leave the range that an output is clipped to
            if layer.bias is not None:
                layer.bias.zero_()
            k = layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1] + 1
            normal = torch.zeros(k, k, dtype=torch.float64, device=layer.weight.device)
            moment = torch.zeros(k, layer.out_channels, dtype=torch.float64, device=layer.weight.device)
        seen: list[tuple[Tensor, Tensor]] = []
        with layer.register_forward_hook(lambda _, inputs, result, seen=seen: seen.append((inputs[0], result))):
            output = output_of(sample)
        features, own = seen[0]
        target = sample[net.output].to(output) - (output - own)
        design, inner = _design(layer, features, target)
        normal += (design.mT @ design).double()
        moment += (design.mT @ inner).double()
    if layer is None:
        raise InputError("a convolution is fitted to samples, but there are none")
    count, sums = normal[-1, -1], normal[-1]
    scatter = (normal.diagonal() - sums.square() / count).clamp_min(0)  # zero for the column of ones: no penalty
    if layer.bias is None:
        normal, moment, scatter = normal[:-1, :-1], moment[:-1], scatter[:-1]
    floor = (1e-10 * normal.diagonal()).clamp_min(1e-14 * normal.diagonal().max())  # features that never change
    solution = torch.linalg.solve(normal + (ridge * scatter + floor).diag(), moment).to(layer.weight)
    taps = layer.weight[0].numel()
    layer.weight.copy_(solution[:taps].T.reshape(layer.weight.shape))
    if layer.bias is not None:
        layer.bias.copy_(solution[-1])
    net.train(training)
    return layer


def _design(layer: nn.Conv2d, features: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return the layer's inputs, with a column of ones, and its target outputs; one row per pixel.

    Windows beyond the border include the layer's zero padding; with another padding mode, such pixels are excluded.
    """
    top, left = (0, 0) if layer.padding_mode != "zeros" or isinstance(layer.padding, str) else layer.padding
    features = F.pad(features.float(), (left, left, top, top))
    columns = F.unfold(features, layer.kernel_size, layer.dilation)
    rows = columns.transpose(1, 2).flatten(0, 1)
    (H, W), kernel = features.shape[2:], zip(layer.kernel_size, layer.dilation, strict=True)
    h, w = (size - (k - 1) * d for size, (k, d) in zip((H, W), kernel, strict=True))
    y, x = ((outer - size) // 2 for outer, size in zip(target.shape[2:], (h, w), strict=True))
    inner = target[:, :, y : y + h, x : x + w]
    return torch.cat((rows, rows.new_ones(len(rows), 1)), 1), inner.permute(0, 2, 3, 1).flatten(0, 2)


def _last_convolution(net: nn.Module, run: Callable[[], Tensor]) -> nn.Conv2d:
    """Return the last convolution executed, if the network's output depends on its result by addition."""
    called: list[tuple[nn.Conv2d, torch.Size]] = []
    handles = [
        module.register_forward_hook(lambda module, _, result: called.append((module, result.shape)))
        for module in net.modules()
        if isinstance(module, nn.Conv2d)
    ]
    output = run()
    for handle in handles:
        handle.remove()
    once = [module for module, _ in called]
    for module, shape in reversed(called):
        plain = module.groups == 1 and module.stride == (1, 1) and once.count(module) == 1
        if shape != output.shape or not plain:
            continue
        # In place of its result, which at random values may leave the range that an output is clipped to. Large enough
        # to show a curve, positive because images are mostly dark: what goes below zero may be clipped, too.
        probe = torch.rand_like(output) * 0.3
        missed = (_with_result(module, probe, run) - _with_result(module, 0 * probe, run) - probe).abs()
        if missed.median() < 1e-5:
            return module
    raise InputError(f"{type(net).__name__} does not end in a convolution that could be fitted by least squares")


def _with_result(module: nn.Module, result: Tensor, run: Callable[[], Tensor]) -> Tensor:
    """Return the network's output where a module's result is replaced."""
    with module.register_forward_hook(lambda _, __, ___: result):
        return run()
