"""Spatial super-resolution by a residual network at low resolution, consistent with the image that it is given.

finewave's own. What is known of the observation is not learned: the network starts at back-projection (M. Irani,
S. Peleg, CVGIP 53(3), 1991) in the limit of infinitely many iterations, and whatever it adds is projected on the images
whose observation is the input. Convolutions at low resolution, then pixel shuffle: W. Shi et al., "Real-Time Single
Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network", CVPR 2016, arXiv
1609.05158. Without biases, twice as bright an image has twice as bright a result, as in S. Mohan, Z. Kadkhodaie,
E. P. Simoncelli, C. Fernandez-Granda, "Robust and Interpretable Blind Image Denoising via Bias-Free Convolutional
Neural Networks", ICLR 2020, arXiv 1906.05478.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.nn.residual import conv
from finewave.nn.sampling import bicubic
from finewave.physics.inversion.pseudo_inverse import PseudoInverse
from finewave.physics.observation import Observation
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least
from finewave.systems.tile_stages import convolution_weights

CUBIC_REACH = 2
"""LR pixels that bicubic interpolation looks at to either side."""
SMALL = 0.1
"""Of a block's second convolution at the start, against what keeps the variance: blocks begin near the identity."""
TINY = 1e-4
"""The same of the last convolution: the untrained network is back-projection, and yet gradients reach every weight."""


class UnbiasedResBlock(nn.Module):
    """x + conv(ReLU(conv(x))) without biases; (B, F, h, w) to the same shape."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(features, features, bias=False), conv(features, features, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight)
        nn.init.normal_(self.conv2.weight, std=SMALL / math.sqrt(9 * features))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        return x + self.conv2(F.relu(self.conv1(x), inplace=True))


class ConsistentResidualSR(SRNetwork):
    """Base of both networks: observation D, its pseudo-inverse D⁺, and N, convolutions at low resolution."""

    task = "sr"
    export_lacks: ClassVar = dict.fromkeys(("onnx", "pt2"), "its projection is computed in double precision")

    def __init__(
        self, name: str, scale: int, channels: tuple[int, int], features: int, blocks: int, degradation: Any
    ) -> None:
        super().__init__()
        self.observation = Observation(scale, degradation, name)
        self.inverse = PseudoInverse(self.observation, name)
        at_least(name, 1, features=features)
        at_least(name, 0, blocks=blocks)
        self.scale = scale
        self.head = conv(channels[0], features, bias=False)
        self.blocks = nn.Sequential(*(UnbiasedResBlock(features) for _ in range(blocks)))
        self.tail = conv(features, channels[1] * scale**2, bias=False)
        nn.init.normal_(self.tail.weight, std=TINY / math.sqrt(9 * features))

    @property
    def receptive_field(self) -> int:
        """Distance in LR pixels up to which an input pixel acts on an output pixel."""
        convolutions = 2 + 2 * len(self.blocks)
        return max(convolutions, CUBIC_REACH) + 2 * self.observation.reach + self.inverse.reach

    def residual(self, image: Tensor) -> Tensor:
        """Return N at the size of the result."""
        return F.pixel_shuffle(self.tail(self.blocks(self.head(image))), self.scale)

    def completed(self, image: Tensor, lr_hsi: Tensor) -> Tensor:
        """Return the nearest image (B, C, s h, s w) to ``image`` whose observation is ``lr_hsi`` (B, C, h, w)."""
        return image + self.inverse(lr_hsi - self.observation(image))


class ResidualSR(ConsistentResidualSR):
    """LR-HSI to HR-HSI: (B, C, h, w) to (B, C, s h, s w), of all bands together.

    With the observation D and its pseudo-inverse D⁺, ``x = U y + N y`` and the result ``x + D⁺ (y - D x)``: U is
    bicubic interpolation, N a chain of convolutions at low resolution and one pixel shuffle by s, next to nothing
    before training. For any y the result's observation is y, and ``k y`` gives k times the result, k > 0.

    Parameters
    ----------
    scale : int
        s >= 2.
    hs_bands : int
        C; of a multispectral image, its number of bands.
    features, blocks : int
        Width and number of the residual blocks.
    degradation : dict, optional
        D: keyword arguments of `degrade`; by default its Gaussian. Separable and symmetric kernels only.
    """

    def __init__(
        self,
        scale: int = 4,
        hs_bands: int = 31,
        *,
        features: int = 64,
        blocks: int = 8,
        degradation: dict[str, Any] | None = None,
    ) -> None:
        at_least("residual-sr", 1, hs_bands=hs_bands)
        super().__init__("residual-sr", scale, (hs_bands, hs_bands), features, blocks, degradation)
        self.hs_bands = hs_bands

    @property
    def products(self) -> float:
        """See `SRNetwork`: the convolutions, all at LR."""
        return float(convolution_weights(self))

    def forward(self, lr_hsi: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, s h, s w) of ``lr_hsi`` (B, C, h, w)."""
        residual = self.residual(lr_hsi)
        y = lr_hsi.to(torch.promote_types(lr_hsi.dtype, torch.float32))
        x = bicubic(y, (residual.shape[2], residual.shape[3])) + residual.to(y.dtype)
        return self.completed(x, y).to(lr_hsi.dtype)
