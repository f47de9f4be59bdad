"""Spectra of multispectral pixels by kernel ridge regression: a network of one hidden layer, found in closed form.

C. Saunders, A. Gammerman, V. Vovk, "Ridge Regression Learning Algorithm in Dual Variables", ICML 1998; with as many
kernels as memory allows, at training pixels drawn at random: C. K. I. Williams, M. Seeger, "Using the Nyström Method to
Speed Up Kernel Machines", NIPS 2000. For few training pixels (10^4 to 10^5), where gradients overfit or take long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.errors import InputError
from finewave.nn.exporting import exporting
from finewave.nn.least_squares import solve_normal
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least, require

DARK = 0.01
"""Added to reflectance before its root is taken, whose slope at zero is infinite."""
AT_ONCE = 1 << 10
"""Pixels whose kernels are held at a time: 4 MB at 1000 kernels, which a processor's cache holds."""
AT_ONCE_ELSEWHERE = 1 << 14
"""The same on other devices, where starting an operator takes longer than so few pixels."""
LINEAR_PENALTY = 1e-7
"""Ridge of the affine part: keeps bands that are alike from cancelling each other, which dark pixels show first."""
HALF_WEIGHT = 0.01
"""Brightness at which a training pixel has half the weight of a black one: dark pixels have angles, too."""
JITTER = 1e-8
"""Ridge of the kernels' coefficients, for centres that are alike."""


class KernelRidge(SRNetwork):
    """HR-HSI from HR-MSI of the same pixel and means of its neighbourhood: an affine part and Gaussian kernels.

    ``y = W x + b + C k(f)``, with the MS bands x of a pixel and ``k_j(f) = exp(-sharpness |f - z_j|²)``. The features f
    are the roots of the bands and, weighted by ``context``, those of their means over each of ``windows``, centred and
    scaled by their spread over the training pixels. The centres z_j are training pixels. Far from all of them what is
    left is the affine part, so unknown pixels get no invented detail. W, b and C minimise the mean squared error over
    the training pixels plus ``penalty tr(C K C')``, K the kernels between centres.

    Parameters
    ----------
    ms_bands, hs_bands : int
        c and C.
    centres : int
        M, number of kernels, >= 1.
    windows : sequence of int
        Sides in pixels of the square means, odd and >= 3; () for the pixel alone.
    context : float
        Weight of the means' features against those of the pixel, > 0.
    sharpness : float
        > 0.
    penalty : float
        >= 0.
    pixels : int
        How many training pixels count, drawn at random where there are more; >= 1.
    """

    task = "ssr"
    prepares = True
    centres: Tensor
    mean: Tensor
    spread: Tensor

    def __init__(
        self,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        centres: int = 1000,
        windows: Sequence[int] = (5, 15),
        context: float = 0.3,
        sharpness: float = 0.1,
        penalty: float = 1e-5,
        pixels: int = 100_000,
    ) -> None:
        super().__init__()
        at_least("kernel-ridge", 1, ms_bands=ms_bands, hs_bands=hs_bands, centres=centres, pixels=pixels)
        require("kernel-ridge", context > 0, "> 0", context=context)
        require("kernel-ridge", sharpness > 0, "> 0", sharpness=sharpness)
        at_least("kernel-ridge", 0, penalty=penalty)
        odd = all(side >= 3 and side % 2 == 1 for side in windows)
        require("kernel-ridge", odd, "odd numbers >= 3", windows=list(windows))
        self.ms_bands, self.hs_bands, self.windows = ms_bands, hs_bands, tuple(windows)
        self.context, self.sharpness, self.penalty, self.pixels = context, sharpness, penalty, pixels
        self.receptive_field = max((side // 2 for side in windows), default=0)
        features = ms_bands * (1 + len(self.windows))
        self.register_buffer("mean", torch.full((features,), 0.5))
        self.register_buffer("spread", torch.full((features,), 0.25))
        self.register_buffer("centres", torch.randn(centres, features))
        self.affine = nn.Parameter(torch.randn(ms_bands + 1, hs_bands) / (ms_bands + 1))  # the last row is b
        self.coefficients = nn.Parameter(torch.randn(centres, hs_bands) * 0.1)

    def features(self, ms: Tensor, around: Tensor | None = None) -> Tensor:
        """Return roots of the bands and of their means (B, c (1 + windows), H, W), not yet centred and scaled.

        ``around`` (B, c windows, H, W) are the means, where they are known and the pixels' neighbours are not.
        """
        images = [ms] if around is None else [ms, around]
        for side in self.windows if around is None else ():
            images.append(F.avg_pool2d(F.pad(ms, (side // 2,) * 4, mode="replicate"), side, stride=1))
        return (torch.cat(images, 1).clamp(min=0) + DARK).sqrt()

    def scaled(self, features: Tensor) -> Tensor:
        """Return features (N, F) centred, scaled and weighted."""
        weights = torch.full_like(self.mean, self.context)
        weights[: self.ms_bands] = 1.0
        return (features - self.mean.to(features)) * (weights / self.spread).to(features)

    def kernels(self, scaled: Tensor) -> Tensor:
        """Return the kernels (N, M) of scaled features (N, F)."""
        centres = self.centres.to(scaled)
        # exponents as one product, since passes over memory take longer than it: 2 f z - |z|² - |f|²
        longer = torch.cat([scaled, scaled.square().sum(1, keepdim=True)], 1)
        weights = torch.cat([2 * centres, torch.full_like(centres[:, :1], -1)], 1) * self.sharpness
        return torch.addmm(-self.sharpness * centres.square().sum(1), longer, weights.T).exp()

    def forward(self, hr_msi: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, H, W) of ``hr_msi`` (B, c, H, W)."""
        B, _, H, W = hr_msi.shape
        wide = hr_msi.to(torch.promote_types(hr_msi.dtype, torch.float32))
        pixels = wide.permute(0, 2, 3, 1).flatten(0, 2)  # (N, c)
        features = self.features(wide).permute(0, 2, 3, 1).flatten(0, 2)  # (N, F)
        coefficients, affine = self.coefficients.to(wide), self.affine.to(wide)
        spectra = torch.addmm(affine[-1], pixels, affine[:-1])
        if exporting():
            spectra = spectra + self.kernels(self.scaled(features)) @ coefficients
        else:  # in place: hundreds of bands of a tile are hundreds of megabytes
            at_once = AT_ONCE if wide.device.type == "cpu" else AT_ONCE_ELSEWHERE
            for start in range(0, len(features), at_once):
                part = slice(start, start + at_once)
                spectra[part] += self.kernels(self.scaled(features[part])) @ coefficients
        return spectra.to(hr_msi.dtype).view(B, H, W, -1).permute(0, 3, 1, 2)

    @torch.no_grad()
    def prepare_from(self, samples: Iterable[Mapping[str, Tensor]], seed: int = 0) -> None:
        """Draw the centres and find all coefficients.

        Parameters
        ----------
        samples : iterable of mappings
            Images ``hr_msi`` (B, c, H, W) and ``hr_hsi`` (B, C, H, W); read once, one at a time. Pixels that are
            not finite, or zero in every band, are left out. With ``around`` (B, c windows, H, W), the means over
            the windows are these.
        seed : int
            Of the draws of pixels and centres.
        """
        random = torch.Generator().manual_seed(seed)
        ms, features, hs = self._draw(samples, random)
        self.mean.copy_(features.mean(0))
        self.spread.copy_(features.std(0, correction=0).clamp(min=1e-6))
        scaled = self.scaled(features)
        sampled = torch.randperm(len(scaled), generator=random)[: len(self.centres)]
        self.centres.zero_()
        self.centres[: len(sampled)] = scaled[sampled].to(self.centres)
        used = len(sampled)

        weights = 1 / (ms.mean(1, keepdim=True).clamp(min=0) + HALF_WEIGHT)
        weights /= weights.mean()
        gram: Tensor | float = 0.0
        moment: Tensor | float = 0.0
        for some in torch.arange(len(ms)).split(AT_ONCE):
            rows = torch.cat([ms[some], torch.ones_like(ms[some, :1]), self.kernels(scaled[some])[:, :used]], 1)
            gram = gram + rows.T @ (weights[some] * rows)
            moment = moment + rows.T @ (weights[some] * hs[some])
        assert isinstance(gram, Tensor)
        assert isinstance(moment, Tensor)
        first = self.ms_bands + 1
        ridge = torch.zeros_like(gram)
        ridge[first:, first:] = self.penalty * self.kernels(self.centres[:used].to(gram))[:, :used]
        ridge.diagonal()[: self.ms_bands] += LINEAR_PENALTY
        ridge.diagonal()[first:] += JITTER
        solution = solve_normal(gram / len(ms) + ridge, moment / len(ms))
        self.affine.copy_(solution[:first])
        self.coefficients.zero_()
        self.coefficients[:used] = solution[first:].to(self.coefficients)

    def _draw(self, samples: Iterable[Mapping[str, Tensor]], random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return MS bands, features and HS bands, float64, of pixels that all had the same chance to be drawn."""
        kept: tuple[Tensor, ...] | None = None
        for sample in samples:
            ms, hs, around = sample["hr_msi"].double(), sample["hr_hsi"].double(), sample.get("around")
            features = self.features(ms, None if around is None else around.double())
            columns = [image.permute(0, 2, 3, 1).flatten(0, 2) for image in (ms, features, hs)]
            good = torch.isfinite(torch.cat(columns, 1)).all(1) & (columns[2] != 0).any(1)
            keys = torch.rand(int(good.sum()), generator=random)
            rows = (keys, *(column[good] for column in columns))
            kept = rows if kept is None else tuple(torch.cat(pair) for pair in zip(kept, rows, strict=True))
            if len(kept[0]) > self.pixels:  # those with the smallest keys stay, whatever the order of scenes
                smallest = kept[0].argsort()[: self.pixels]
                kept = tuple(each[smallest] for each in kept)
        if kept is None or not len(kept[0]):
            raise InputError("kernel-ridge needs training images; there are none, or no pixel of them is valid")
        return kept[1], kept[2], kept[3]
