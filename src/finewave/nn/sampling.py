"""Resampling by the prime factors of the scale, and bicubic interpolation on half-pixel centres."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def prime_factors(n: int) -> list[int]:
    """Return the prime factors of ``n`` in ascending order, with multiplicity: 12 -> [2, 2, 3]."""
    factors = []
    p = 2
    while p * p <= n:
        if n % p:
            p += 1
        else:
            factors.append(p)
            n //= p
    return [*factors, n] if n > 1 else factors


def bicubic(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Interpolate ``x`` (B, C, h, w) to ``size``: cubic convolution, a = -0.75, half-pixel centres, no anti-aliasing.

    Always computed in at least float32, because it acts on images, not on features.
    """
    wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
    return F.interpolate(wide, size=size, mode="bicubic", align_corners=False).to(x.dtype)


class Down(nn.Sequential):
    """Blur and decimation DB as one strided convolution per prime factor of the scale.

    Maps (B, C, n s, m s) to (B, C, n, m). Each layer has kernel 2p + 1, stride p, padding p, no bias.

    Parameters
    ----------
    channels : int
        Bands of the image.
    factors : sequence of int
        One layer for each; the prime factors of the scale, or the scale alone for a single step.
    groups : int
        ``channels`` for a band-by-band operator, 1 for one that mixes bands.
    """

    def __init__(self, channels: int, factors: list[int], groups: int = 1) -> None:
        super().__init__(
            *(nn.Conv2d(channels, channels, 2 * p + 1, stride=p, padding=p, groups=groups, bias=False) for p in factors)
        )
        self.factors = list(factors)

    def reset_to_average(self) -> None:
        """Initialise as averaging: the mean over the p x p pixels of each output pixel, band by band.

        A wider blur would include the zero padding at the image's border, which would look like an error.
        """
        for conv, p in zip(self, self.factors, strict=True):
            assert isinstance(conv, nn.Conv2d)
            kernel = torch.zeros(2 * p + 1, 2 * p + 1)
            kernel[p : 2 * p, p : 2 * p] = 1 / p**2
            _set_band_by_band(conv.weight, kernel, conv.groups)


class Up(nn.Sequential):
    """Upsampling as one transposed and one plain convolution per prime factor of the scale.

    Maps (B, C, n, m) to (B, C, n s, m s). Kernels are p + 1 (p = 2) or p + 2 (p odd), then 2p + 1; no biases.
    """

    def __init__(self, channels: int, factors: list[int]) -> None:
        layers: list[nn.Module] = []
        for p in factors:
            k = p + 1 if p % 2 == 0 else p + 2
            layers.append(
                nn.ConvTranspose2d(channels, channels, k, stride=p, padding=k // 2, output_padding=p - 1, bias=False)
            )
            layers.append(nn.Conv2d(channels, channels, 2 * p + 1, padding=p, bias=False))
        super().__init__(*layers)
        self.factors = list(factors)

    def reset_to_interpolation(self, sign: float = 1.0) -> None:
        """Initialise as linear interpolation times ``sign``: repeat each pixel p times, then average over p."""
        for i, p in enumerate(self.factors):
            spread, smooth = self[2 * i], self[2 * i + 1]
            assert isinstance(spread, nn.ConvTranspose2d)
            assert isinstance(smooth, nn.Conv2d)
            k = spread.weight.shape[-1]
            box = ((p + 1) / 2 - (torch.arange(k) - k // 2).abs()).clamp(0, 1)  # even p: halves at both ends
            _set_band_by_band(spread.weight, torch.outer(box, box), 1)
            mean = torch.zeros(2 * p + 1)
            mean[1 : p + 1] = 1 / p
            _set_band_by_band(smooth.weight, (sign if i == 0 else 1.0) * torch.outer(mean, mean), 1)


@torch.no_grad()
def _set_band_by_band(weight: Tensor, kernel: Tensor, groups: int) -> None:
    """Set ``weight`` to ``kernel`` within each band and zero between bands."""
    weight.zero_()
    for band in range(weight.shape[0]):
        weight[band, 0 if groups > 1 else band] = kernel


class BPUp(nn.Module):
    """Learned back-projection upsampling (eq. 4 of arXiv 2505.24605), Leaky ReLU after each operator.

    ``x = U_a e``, then for each iteration ``x = x + U_b(D x - e)``.

    Parameters
    ----------
    channels : int
        Bands of the image.
    factors : list of int
        Steps of the resampling, see `Down`.
    iterations : int
        Back-projection iterations; the publication uses 1.
    """

    def __init__(self, channels: int, factors: list[int], iterations: int = 1) -> None:
        super().__init__()
        self.first = Up(channels, factors)
        self.down = nn.ModuleList(Down(channels, factors) for _ in range(iterations))
        self.up = nn.ModuleList(Up(channels, factors) for _ in range(iterations))

    def reset_to_back_projection(self) -> None:
        """Initialise as eq. (4) means it: interpolation, corrected by the residual of its re-projection.

        D x - e is the negative residual, so the operators applied to it start as minus the interpolation.
        """
        self.first.reset_to_interpolation()
        for down, up in zip(self.down, self.up, strict=True):
            assert isinstance(down, Down)
            assert isinstance(up, Up)
            down.reset_to_average()
            up.reset_to_interpolation(sign=-1.0)

    def forward(self, e: Tensor) -> Tensor:
        """Upsample ``e`` (B, C, h, w) to (B, C, h s, w s)."""
        x = F.leaky_relu(self.first(e), 0.01)
        for down, up in zip(self.down, self.up, strict=True):
            reprojected = F.leaky_relu(down(x), 0.01)
            x = x + F.leaky_relu(up(reprojected - e), 0.01)
            e = reprojected
        return x
