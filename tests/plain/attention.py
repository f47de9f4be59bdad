"""MST++, US3RN and SSPSR as their articles define them: attention and groups written out, layers as they are.

A network with these parts in the place of ours computes the published arithmetic without what makes ours quick: copies
of normalised queries and keys, all pairs of pixels in one matrix, one group of bands after another.
"""

from __future__ import annotations

import copy
import types
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.systems.mstpp.network import SpectralMSA
from finewave.systems.sspsr.network import SSPSR
from finewave.systems.us3rn.nonlocal_attention import NonLocalBlock


def spectral_attention(block: SpectralMSA, x: Tensor) -> Tensor:
    """S-MSA head by head, with normalised copies of queries and keys."""
    B, H, W, C = x.shape
    q, k, v = (x.flatten(1, 2) @ layer.weight.T for layer in (block.query, block.key, block.value))
    outputs = []
    for h, sigma in enumerate(block.sigma.flatten()):
        part = slice(h * block.width, (h + 1) * block.width)
        tokens = [t[:, :, part].transpose(1, 2) for t in (q, k, v)]  # (B, channels of the head, pixels)
        query, key = (F.normalize(t, dim=2) for t in tokens[:2])
        outputs.append((sigma * key @ query.transpose(1, 2)).softmax(2) @ tokens[2])
    mixed = torch.cat(outputs, 1).transpose(1, 2) @ block.proj.weight.T + block.proj.bias
    image = v.transpose(1, 2).reshape(B, C, H, W)
    first, second = block.position[0], block.position[2]
    image = F.conv2d(F.gelu(F.conv2d(image, first.weight, padding=1, groups=C)), second.weight, padding=1, groups=C)
    return mixed.view(B, H, W, C) + image.permute(0, 2, 3, 1)


def all_pairs(block: NonLocalBlock, x: Tensor) -> Tensor:
    """The non-local block with one matrix of all pairs of pixels."""
    theta, phi, g = (layer(x).flatten(2) for layer in (block.theta, block.phi, block.g))
    y = (theta.transpose(1, 2) @ phi).softmax(2) @ g.transpose(1, 2)
    return x + block.norm(block.w(y.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:])))


def groups_one_by_one(net: SSPSR, lr_hsi: Tensor) -> Tensor:
    """The mean of the branches of overlapping groups of bands, one group after another."""
    sums, times = 0.0, lr_hsi.new_zeros(net.hs_bands, 1, 1)
    for i, first in enumerate(net.groups):
        group = slice(first, first + net.group_size)
        part = net.branches[i % len(net.branches)](lr_hsi[:, group])
        sums = sums + F.pad(part, (0, 0, 0, 0, first, net.hs_bands - first - part.shape[1]))
        times[group] += 1
    return sums / times


def written_out(net: nn.Module) -> nn.Module:
    """Return a copy of a network, with the same weights, in which these parts are plain."""
    plain: Any = copy.deepcopy(net)
    for module in plain.modules():
        if isinstance(module, SpectralMSA):
            module.forward = types.MethodType(spectral_attention, module)
        elif isinstance(module, NonLocalBlock):
            module.forward = types.MethodType(all_pairs, module)
        elif isinstance(module, SSPSR):
            module.merged_branches = types.MethodType(groups_one_by_one, module)
    return plain
