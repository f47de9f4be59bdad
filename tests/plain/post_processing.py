"""The post-processing as its description reads: every patch and every window laid out in memory, step by step.

Each function takes a module of finewave and does with its weights what the module does.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from finewave.nn.kernels.window_attention import HeadAttention, MultiHeadAttention
from finewave.systems.jssunet.network import PostProcessing


def laid_out(x: Tensor, side: int) -> Tensor:
    """Return (B, C, side * side, H W): the zero-padded neighbourhood of every pixel, row by row."""
    return F.unfold(x, side, padding=side // 2).unflatten(1, (x.shape[1], side * side))


def plain_head(head: HeadAttention, x: Tensor) -> Tensor:
    """One head: embedding of the patches, scores of the window, softmax over the best k, weighted sum."""
    _, C, H, W = x.shape
    patches = laid_out(x, head.embed.kernel_size[0]).flatten(1, 2)  # (B, C P P, H W)
    embedded = torch.einsum("en,bnp->bep", head.embed.weight.flatten(1), patches)  # a 1 x 1 convolution
    phi = torch.einsum("fe,bep->bfp", head.phi.weight[:, :, 0, 0], embedded)
    theta = torch.einsum("fe,bep->bfp", head.theta.weight[:, :, 0, 0], embedded)
    value = torch.einsum("dc,bcp->bdp", head.value.weight[:, :, 0, 0], x.flatten(2))
    scores = torch.einsum("bep,bewp->bwp", phi, laid_out(theta.unflatten(2, (H, W)), head.window))
    best = scores.topk(head.k, dim=1)
    values = laid_out(value.unflatten(2, (H, W)), head.window)  # (B, C, window^2, H W)
    chosen = values.gather(2, best.indices.unsqueeze(1).expand(-1, C, -1, -1))
    return (chosen * best.values.softmax(1).unsqueeze(1)).sum(2).unflatten(2, (H, W))


def plain_heads(attention: MultiHeadAttention, x: Tensor) -> Tensor:
    """All heads, stacked and combined by the MLP."""
    return attention.mlp(torch.stack([plain_head(head, x) for head in attention.heads], dim=-1)).squeeze(-1)


def plain_post_processing(post: PostProcessing, u: Tensor) -> Tensor:
    """Both attentions and the convolutions behind them."""
    r = post.shift
    v = plain_heads(post.attention1, u)
    v = plain_heads(post.attention2, v.roll((r, r), (2, 3))).roll((-r, -r), (2, 3))
    return u + post.tail(post.block(post.head(torch.cat((v, u), 1))))
