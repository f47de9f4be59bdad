"""The first five convolutions that VGG-16 and VGG-19 share: features at full, half and quarter size.

K. Simonyan, A. Zisserman, arXiv 1409.1556. For pretrained weights see `finewave.systems.sschsr.pretrained`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class VGGFeatures(NamedTuple):
    """Outputs of the first convolution of each block, before the ReLU."""

    conv1_1: Tensor
    conv2_1: Tensor
    conv3_1: Tensor


class VGGTrunk(nn.Module):
    """RGB in [0, 1], (B, 3, H, W), to features (B, w, H, W), (B, 2w, H/2, W/2) and (B, 4w, H/4, W/4).

    Parameters
    ----------
    width : int
        w; 64 in VGG.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.conv1_1 = nn.Conv2d(3, width, 3, padding=1)
        self.conv1_2 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2_1 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.conv2_2 = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.conv3_1 = nn.Conv2d(2 * width, 4 * width, 3, padding=1)
        for layer in (self.conv1_1, self.conv1_2, self.conv2_1, self.conv2_2, self.conv3_1):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # there is a bias
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, rgb: Tensor) -> VGGFeatures:
        """Return the features of an image; H and W are multiples of 4."""
        x1 = self.conv1_1((rgb - self.mean) / self.std)
        x2 = self.conv2_1(F.max_pool2d(F.relu(self.conv1_2(F.relu(x1))), 2))
        x3 = self.conv3_1(F.max_pool2d(F.relu(self.conv2_2(F.relu(x2))), 2))
        return VGGFeatures(x1, x2, x3)
