"""Residual blocks of convolutions, with and without channel attention."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from finewave.nn.kernels.fused_conv import as_features, fused_conv, fused_resblock
from finewave.nn.kernels.strips import in_strips, makes_strips
from finewave.nn.pooling import image_mean


def conv(in_channels: int, out_channels: int, kernel_size: int = 3, bias: bool = True) -> nn.Conv2d:
    """Return a convolution that keeps the image size (zero padding)."""
    return nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=bias)


class ResBlock(nn.Module):
    """conv-ReLU-conv-ReLU-conv, plus the input, ReLU; (B, F, H, W) to the same shape."""

    def __init__(self, features: int, kernel_size: int = 3) -> None:
        super().__init__()
        self.conv1 = conv(features, features, kernel_size, bias=False)
        self.conv2 = conv(features, features, kernel_size, bias=False)
        self.conv3 = conv(features, features, kernel_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        return fused_resblock(x, self.conv1, self.conv2, self.conv3)


class ResBlocks(nn.Sequential):
    """`ResBlock` after `ResBlock`; (B, F, H, W) to the same shape.

    Parameters
    ----------
    features, blocks, kernel_size : int
    """

    def __init__(self, features: int, blocks: int, kernel_size: int = 3) -> None:
        super().__init__(*(ResBlock(features, kernel_size) for _ in range(blocks)))
        self.reach = 3 * (kernel_size // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the blocks; without gradients, ``x`` may be overwritten."""
        for block in self:
            width = x.shape[1] * x.itemsize
            x = in_strips(block, self.reach, (x,), x, width) if makes_strips(x, width, self) else block(x)
        return x


class ResBlockBN(nn.Module):
    """`ResBlock` with batch normalisation after each of the first two activations."""

    def __init__(self, features: int, kernel_size: int = 3) -> None:
        super().__init__()
        self.conv1 = conv(features, features, kernel_size, bias=False)
        self.norm1 = nn.BatchNorm2d(features)
        self.conv2 = conv(features, features, kernel_size, bias=False)
        self.norm2 = nn.BatchNorm2d(features)
        self.conv3 = conv(features, features, kernel_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        y = fused_conv(x, self.conv1, relu=True)
        y = self.norm1(y)  # one statement per layer, so that each input is freed before the next output is allocated
        y = fused_conv(y, self.conv2, relu=True)
        y = self.norm2(y)
        return fused_conv(y, self.conv3, residual=as_features(x), relu=True)


class ChannelAttention(nn.Module):
    """Scale each channel by a sigmoid of the image's channel means (squeeze and excitation).

    The means are over the whole image, so the result depends on all of its pixels; under `local_pooling` they are over
    windows.
    """

    def __init__(self, features: int, reduction: int = 1) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(features, features // reduction, 1)
        self.excite = nn.Conv2d(features // reduction, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` (B, F, H, W) with its channels scaled."""
        weight = F.relu(self.squeeze(image_mean(x).to(x.dtype)))
        return x * self.excite(weight).sigmoid()


class RCAB(nn.Module):
    """Residual channel attention block: conv-ReLU-conv-channel attention, plus the input."""

    def __init__(self, features: int, kernel_size: int = 3, reduction: int = 1) -> None:
        super().__init__()
        self.conv1 = conv(features, features, kernel_size)
        self.conv2 = conv(features, features, kernel_size)
        self.attention = ChannelAttention(features, reduction)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block; (B, F, H, W) to the same shape."""
        x = as_features(x)
        return x + self.attention(fused_conv(fused_conv(x, self.conv1, relu=True), self.conv2))
