"""The sequence of 3-D convolutions of 3D-FCNN and SSJSR."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.nn.exporting import exporting

KERNELS = ((7, 9, 9), (1, 1, 1), (1, 1, 1), (3, 5, 5))  # bands, rows, columns
BORDER = tuple(sum(kernel[axis] - 1 for kernel in KERNELS) // 2 for axis in range(3))
"""What the convolutions remove at each end: 4 bands, 6 rows, 6 columns, so 33 x 33 pixels become 21 x 21."""

_VOXELS_AT_ONCE = 2**21  # processed at a time when no gradients are needed


def reach_after_enlarging(scale: int) -> int:
    """Return how far, in pixels before bicubic enlargement by ``scale``, a pixel acts: 2 of them by interpolation."""
    return -(-BORDER[1] // scale) + 2


class Convolutions3D(nn.Module):
    """Four 3-D convolutions without padding, ReLU between them, over an image as a volume.

    (B, C, H, W) to the same shape: edge bands, rows and columns are first repeated, as many as the convolutions remove.

    Parameters
    ----------
    features : int
        F, of the first layer; the second has F/2, the third 9 F/64, at least one each. 64, 32 and 9 as published.
    """

    def __init__(self, features: int = 64) -> None:
        super().__init__()
        widths = (1, features, max(1, features // 2), max(1, features * 9 // 64), 1)
        self.layers = nn.ModuleList(
            nn.Conv3d(*pair, kernel) for pair, kernel in zip(itertools.pairwise(widths), KERNELS, strict=True)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Apply the convolutions to (B, C, H, W)."""
        bands, rows, columns = BORDER
        volume = F.pad(image[:, None], (columns, columns, rows, rows, bands, bands), mode="replicate")
        B, C, H, W = image.shape
        if torch.is_grad_enabled() or exporting():
            return self._convolved(volume)
        n = max(1, _VOXELS_AT_ONCE // (B * H * W))
        return torch.cat([self._convolved(volume[:, :, i : min(i + n, C) + 2 * bands]) for i in range(0, C, n)], 1)

    def _convolved(self, volume: Tensor) -> Tensor:
        """Return (B, n, H, W) of (B, 1, n + 8, H + 12, W + 12)."""
        *before, last = self.layers
        for layer in before:
            volume = F.relu(layer(volume), inplace=True)
        return last(volume)[:, 0]

    @torch.no_grad()
    def start_at_identity(self) -> None:
        """Initialise near the identity on nonnegative images: one feature passes the image, the others add little."""
        for layer, kernel in zip(self.layers, KERNELS, strict=True):
            assert isinstance(layer, nn.Conv3d)
            assert layer.bias is not None
            layer.weight[0].mul_(0.01)
            layer.weight[(0, 0, *(size // 2 for size in kernel))] += 1
            layer.bias[0] = 0
