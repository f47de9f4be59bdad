"""White noise of two images, estimated around every pixel, and its local Wiener filter.

What noise has and images have not: it differs from pixel to pixel (J. Immerkær, "Fast Noise Variance Estimation",
Computer Vision and Image Understanding 64(2), 1996), from band to band, and is found in flat places, too. All of it is
local, so that tiles of a scene see the noise that the whole scene sees.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from finewave.nn.kernels.strips import in_strips, makes_strips
from finewave.systems.baselines.gaussian_windows import local_mean, window_radius

SPREAD = 3.0
"""Standard deviation in LR pixels of the Gaussian windows over which variances are averaged."""
CALM = 6
"""Distance in LR pixels within which the calmest place tells the noise."""
WINDOW = 2.0
"""Standard deviation in HR pixels of the windows of the Wiener filter."""
LEFT = 0.3
"""About the part of the variance that the filter leaves."""
FILTER_BYTES = 20
"""Bytes of the filter for each pixel and entry of a matrix of its bands, of strips twice as high as elsewhere: the
filter sees far around a strip."""
DETAIL = ((1.0, -2.0, 1.0), (-2.0, 4.0, -2.0), (1.0, -2.0, 1.0))
"""Second differences along rows of those along columns: edges along either vanish. The squares sum to 36."""


def noise_of_spectra(image: Tensor) -> Tensor:
    """Return the variance (B, 1, h, w) of the white noise of an image (B, C, h, w) of many similar bands.

    Second differences over the bands of what varies from pixel to pixel, which smooth spectra do not have, where they
    are least nearby. Of less than three bands, see `noise_of_bands`.
    """
    if image.shape[1] < 3:
        return noise_of_bands(image, 1)
    detail = _detail(image)
    detail = detail[:, 1:-1] - 0.5 * (detail[:, :-2] + detail[:, 2:])
    return _calmest(local_mean(detail.square().mean(1, keepdim=True) / 1.5, SPREAD))


def noise_of_bands(image: Tensor, scale: int) -> Tensor:
    """Return the variance (B, 1, H/s, W/s) of the white noise of an image (B, c, H, W) of few bands.

    The least eigenvalue of the covariance of the detail in all bands, since edges show in all of them alike; and of
    that the least nearby, since texture may have colours.
    """
    detail, c = _detail(image), image.shape[1]
    covariance = F.avg_pool2d((detail[:, :, None] * detail[:, None]).flatten(1, 2), scale)
    covariance = local_mean(covariance, SPREAD).unflatten(1, (c, c)).permute(0, 3, 4, 1, 2)
    least = torch.linalg.eigvalsh(covariance)[..., 0][:, None].clamp(min=0)
    return _calmest(least)


def signal_to_noise(lr_hsi: Tensor, hr_msi: Tensor) -> float:
    """Return the ratio in dB of the mean square of images (B, C, h, w), (B, c, s h, s w) to noise, the lower one."""
    ratios = []
    scale = hr_msi.shape[2] // lr_hsi.shape[2]
    for image, noise_of in ((lr_hsi, noise_of_spectra), (hr_msi, lambda each: noise_of_bands(each, scale))):
        # one at a time: products of bands take a multiple of the images
        noise = torch.cat([noise_of(each) for each in image.split(1)])
        least = torch.finfo(image.dtype).tiny
        ratios.append(10 * torch.log10(image.square().mean().clamp(min=least) / noise.median().clamp(min=least)))
    return float(min(ratios))


def noise_reach() -> int:
    """Return the distance in LR pixels up to which a pixel acts on estimated noise and on what it is filtered by."""
    return window_radius(SPREAD) + 1 + CALM + window_radius(WINDOW)  # two windows of HR pixels, at s = 2


def filter_products(bands: int) -> int:
    """Return about how many multiplications `noise_of_bands` and `wiener` do for an HR pixel: windows and axes."""
    return (2 * bands * bands + 2 * bands) * 2 * (2 * window_radius(WINDOW) + 1) + 40 * bands**3


def wiener(image: Tensor, variance: Tensor, scale: int) -> Tensor:
    """Return the image (B, c, H, W) by a local Wiener filter of all bands, given its noise (B, 1, H/s, W/s).

    Around each pixel, with the mean E and the covariance S of the bands, ``E + (S - v)₊ S⁻¹ (x - E)``, v the noise;
    maps are averaged over all windows that hold a pixel, as in the guided filter.
    """
    noise = variance.to(image).repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    width = FILTER_BYTES * image.shape[1] ** 2 * image.itemsize // 4
    if not makes_strips(image, width):
        return _filtered(image, noise)
    return in_strips(_filtered, 2 * window_radius(WINDOW), (image, noise), torch.empty_like(image), width)


def _filtered(image: Tensor, noise: Tensor) -> Tensor:
    """Return `wiener` of an image (B, c, H, W), given its noise (B, 1, H, W)."""
    c = image.shape[1]
    mean = local_mean(image, WINDOW)
    covariance = local_mean((image[:, :, None] * image[:, None]).flatten(1, 2), WINDOW).unflatten(1, (c, c))
    covariance = (covariance - mean[:, :, None] * mean[:, None]).permute(0, 3, 4, 1, 2)
    noise = noise[:, 0, :, :, None]
    values, vectors = torch.linalg.eigh(covariance)
    kept = torch.where(values > noise, 1 - noise / values.clamp(min=torch.finfo(values.dtype).tiny), 0.0)
    slopes = ((vectors * kept[..., None, :]) @ vectors.mT).permute(0, 3, 4, 1, 2)  # (B, c, c, H, W)
    constants = mean - (slopes * mean[:, None]).sum(2)
    slopes = local_mean(slopes.flatten(1, 2), WINDOW).unflatten(1, (c, c))
    return (slopes * image[:, None]).sum(2) + local_mean(constants, WINDOW)


def signal_share(image: Tensor, noise: Tensor | float, window: float) -> Tensor:
    """Return by how much an image of signal and noise is to be multiplied: Wiener's gain of every band and pixel."""
    power = local_mean(image.square(), window)
    return (1 - noise / power.clamp(min=torch.finfo(power.dtype).tiny)).clamp(min=0)


def averaged(window: float) -> float:
    """Return of how many pixels a Gaussian window's mean has the noise."""
    return max(1.0, 4 * math.pi * window**2)


def _calmest(variance: Tensor) -> Tensor:
    """Return the least of the variances (B, 1, h, w) nearby: elsewhere it may be texture."""
    return -F.max_pool2d(-variance, 2 * CALM + 1, 1, CALM)


def _detail(image: Tensor) -> Tensor:
    """Return `DETAIL` of every band; white noise keeps its variance."""
    taps = torch.tensor(DETAIL).to(image).view(1, 1, 3, 3) / 6
    padded = F.pad(image.flatten(0, 1)[:, None], (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, taps)[:, 0].view_as(image)
