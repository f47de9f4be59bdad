"""Non-local attention of every pixel to the most similar pixels of its window.

Memory grows with H W (C + k): scores are computed for a band of rows at a time, and of the window's values
only the k chosen ones are read.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.utils.checkpoint
from torch import Tensor, nn
from torch.nn import functional as F

# Pixels whose window scores are held at a time.
CHUNK_PIXELS = 16_384
# Values whose hidden layer is held at a time: as many as stay in a processor's cache, or fill a GPU.
CHUNK_VALUES = {"cpu": 4_096, "cuda": 4_194_304}


class HeadAttention(nn.Module):
    """One head: patch embedding, similarities in a window, softmax over the top few, weighted sum of values.

    Parameters
    ----------
    channels : int
        C, bands of the image.
    embedding : int
        Dimension e_d in which similarities are computed.
    patch, window : int
        P and W, odd sides in pixels.
    top_percent : float
        Share of the window that is kept; k = floor(W^2 top_percent / 100), at least 1.
    """

    def __init__(
        self, channels: int, embedding: int = 8, patch: int = 11, window: int = 11, top_percent: float = 10
    ) -> None:
        super().__init__()
        self.window = window
        self.k = max(1, int(window * window * top_percent / 100))
        self.embed = nn.Conv2d(channels, embedding, patch, padding=patch // 2, bias=False)
        self.phi = nn.Conv2d(embedding, embedding, 1, bias=False)
        self.theta = nn.Conv2d(embedding, embedding, 1, bias=False)
        self.value = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Filter ``x`` (B, C, H, W); same shape."""
        embedded = self.embed(x)
        return attend(self.phi(embedded), self.theta(embedded), self.value(x), self.window, self.k)


def attend(phi: Tensor, theta: Tensor, value: Tensor, window: int, k: int) -> Tensor:
    """Return for each pixel the softmax-weighted sum of the ``k`` best-matching values in its window.

    Parameters
    ----------
    phi, theta : Tensor
        (B, e, H, W), embeddings of the centre and of the neighbours.
    value : Tensor
        (B, C, H, W).
    window : int
        Side of the square window, odd. Positions outside the image have score 0 and value 0 and take part.
    k : int
        How many are kept.

    Returns
    -------
    Tensor
        (B, C, H, W) in value's dtype.
    """
    B, C, H, W = value.shape
    r = window // 2
    dtype = torch.promote_types(value.dtype, torch.float32)  # ranking and softmax need the digits
    theta_padded = F.pad(theta.to(dtype), (r, r, r, r))
    centre = phi.to(dtype).permute(0, 2, 3, 1).reshape(B * H * W, -1)
    with torch.no_grad():
        chosen = _most_similar(phi.detach().to(dtype), theta_padded.detach(), window, k)
    neighbours = theta_padded.permute(0, 2, 3, 1).reshape(-1, theta.shape[1])
    scores = torch.einsum("ne,nke->nk", centre, F.embedding(chosen, neighbours))
    values = F.pad(value.to(dtype), (r, r, r, r)).permute(0, 2, 3, 1).reshape(-1, C)
    summed = F.embedding_bag(chosen, values, per_sample_weights=scores.softmax(1), mode="sum")
    return summed.view(B, H, W, C).permute(0, 3, 1, 2).to(value.dtype)


def _most_similar(phi: Tensor, theta_padded: Tensor, window: int, k: int) -> Tensor:
    """Return (B H W, k) flat indices into the padded images of the k best-scored window positions, in any order."""
    B, _, H, W = phi.shape
    padded_h, padded_w = theta_padded.shape[2:]
    steps = torch.arange(window, device=phi.device)
    offsets = (steps[:, None] * padded_w + steps).flatten()
    corners = torch.arange(H, device=phi.device)[:, None] * padded_w + torch.arange(W, device=phi.device)
    rows = max(1, CHUNK_PIXELS // W)
    chosen = torch.empty(B, H, W, k, dtype=torch.long, device=phi.device)
    for b in range(B):
        for top in range(0, H, rows):
            n = min(rows, H - top)
            centre = phi[b, :, top : top + n]
            scores = phi.new_empty(window * window, n, W)
            for i in range(window * window):  # whole rows at a time: no window is ever laid out in memory
                dy, dx = divmod(i, window)
                neighbour = theta_padded[b, :, top + dy : top + dy + n, dx : dx + W]
                torch.sum(centre * neighbour, 0, out=scores[i])
            best = _largest(scores.flatten(1).T.contiguous(), k)
            corner = b * padded_h * padded_w + corners[top : top + n]
            chosen[b, top : top + n] = corner.unsqueeze(-1) + offsets[best].view(n, W, k)
    return chosen.view(-1, k)


def _largest(scores: Tensor, k: int) -> Tensor:
    """Return the indices (n, k) of the k largest of each row of ``scores`` (n, m), in any order."""
    if scores.device.type == "cpu":  # selection without sorting: five times quicker than topk
        return torch.from_numpy(np.argpartition(scores.numpy(), -k, axis=1)[:, -k:])
    return scores.topk(k, dim=1, sorted=False).indices


class MultiHeadAttention(nn.Module):
    """Several heads, combined for each pixel and channel by one small MLP over the heads.

    Parameters
    ----------
    heads : int
        Number of heads.
    mlp_hidden : int
        Width of the combining MLP.
    **head : Any
        Arguments of `HeadAttention`.
    """

    def __init__(self, channels: int, heads: int = 3, mlp_hidden: int = 64, **head) -> None:
        super().__init__()
        self.heads = nn.ModuleList(HeadAttention(channels, **head) for _ in range(heads))
        self.mlp = nn.Sequential(nn.Linear(heads, mlp_hidden), nn.ReLU(), nn.Linear(mlp_hidden, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Filter ``x`` (B, C, H, W); same shape."""
        stacked = torch.stack([head(x) for head in self.heads], dim=-1)
        # The MLP widens every value to mlp_hidden ones; a chunk at a time, recomputed in the backward pass,
        # keeps that from being held for the whole image.
        chunk_values = CHUNK_VALUES.get(x.device.type, CHUNK_VALUES["cuda"])
        combined = [self._combine(chunk) for chunk in stacked.flatten(0, 3).split(chunk_values)]
        return torch.cat(combined).view(x.shape)

    def _combine(self, chunk: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return torch.utils.checkpoint.checkpoint(self.mlp, chunk, use_reentrant=False)
        return self.mlp(chunk)
