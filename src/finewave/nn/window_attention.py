"""Non-local attention of every pixel to the most similar pixels of its window.

Memory grows with H W (C + k): scores are computed for a band of rows at a time, and of the window's values
only the k chosen ones are read.
"""

from __future__ import annotations

import torch
import torch.utils.checkpoint
from torch import Tensor, nn
from torch.nn import functional as F

# Pixels whose 121 window scores are held at a time, and pixel-channels in the head combination.
CHUNK_PIXELS = 16_384


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
    """Return (B H W, k) flat indices into the padded images of the k best-scored window positions."""
    B, e, H, W = phi.shape
    padded_h, padded_w = theta_padded.shape[2:]
    device = phi.device
    steps = torch.arange(window, device=device)
    offsets = (steps[:, None] * padded_w + steps).flatten()
    rows = max(1, CHUNK_PIXELS // W)
    chosen = torch.empty(B, H, W, k, dtype=torch.long, device=device)
    for b in range(B):
        for top in range(0, H, rows):
            n = min(rows, H - top)
            windows = F.unfold(theta_padded[b : b + 1, :, top : top + n + window - 1], window)
            scores = torch.einsum("ep,ewp->pw", phi[b, :, top : top + n].flatten(1), windows.view(e, -1, n * W))
            best = scores.topk(k, dim=1).indices
            y, x = torch.arange(top, top + n, device=device), torch.arange(W, device=device)
            corner = (b * padded_h + y[:, None]) * padded_w + x
            chosen[b, top : top + n] = (corner.flatten()[:, None] + offsets[best]).view(n, W, k)
    return chosen.view(-1, k)


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
        combined = [self._combine(chunk) for chunk in stacked.flatten(0, 3).split(16 * CHUNK_PIXELS)]
        return torch.cat(combined).view(x.shape)

    def _combine(self, chunk: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return torch.utils.checkpoint.checkpoint(self.mlp, chunk, use_reentrant=False)
        return self.mlp(chunk)
