"""Spectra of multispectral pixels by kernel ridge regression with random effects of scenes.

finewave's own. Pixels of one scene are not independent: the same few materials, a thousand times each. A regression
that counts pixels therefore trusts the scene with the most pixels of a colour. Here every training scene s has a
function of its own, f + g_s, of which only f, what scenes have in common, is used for new scenes; a model with mixed
effects (N. M. Laird, J. H. Ware, "Random-Effects Models for Longitudinal Data", Biometrics 38(4), 1982) on the kernels
of C. K. I. Williams, M. Seeger, "Using the Nyström Method to Speed Up Kernel Machines", NIPS 2000. Closed form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.errors import InputError
from finewave.nn.exporting import exporting
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least, require

DARK = 0.003
"""Added to the brightness that spectra are relative to: darker pixels are mostly noise."""
FLAT = 0.02
"""Added to chromaticities before their root is taken, whose slope at zero is infinite."""
BRIGHTNESS = 0.1
"""Weight of the logarithm of brightness against twice the root of chromaticity."""
LEAST_EIGENVALUE = 1e-7
"""Of the kernels between centres, relative to the largest: below it, centres are alike."""
EXPONENTIAL = 10
"""Multiplications of an exponential, about."""
AT_ONCE = 1 << 10
"""Pixels whose kernels are held at a time: 3 MB at 800 kernels, which stay in a processor's cache."""


class SceneSamples(NamedTuple):
    """What is kept of a training scene, float64: features (N, F), relative spectra (N, C), weights (N, 1)."""

    features: Tensor
    spectra: Tensor
    weights: Tensor


class SceneRidge(SRNetwork):
    """HR-HSI from HR-MSI of the same pixel and the mean around it, consistent with the camera.

    With MS bands x of a pixel, their mean b, and ``k_j(f) = exp(-sharpness |f - z_j|²)`` for M centres z_j:
    ``P = b (t + C k(f))`` and the result ``P + R⁺ (x - R P)``. The features f are ``2 sqrt(x / b)`` and
    ``0.1 log b``, and the same of the means over each of ``windows``, weighted by ``context``. t is the mean relative
    spectrum. C minimises, together with one G_s for each training scene s,

    ``Σ_s [mean_i b_i |y_i / b_i - t - (C + G_s) k(f_i)|² + scene_penalty |G_s|²] + penalty |C|²``

    with the pixels i of scene s, b_i scaled to mean 1, and ``|A|² = tr(A K Aᵀ)``, K the kernels between centres. R (c,
    C) is found by least squares over the training pixels.

    Parameters
    ----------
    ms_bands, hs_bands : int
        c and C.
    centres : int
        M >= 1, training pixels drawn at random.
    windows : sequence of int
        Sides in pixels of the square means, odd and >= 3; () for the pixel alone.
    context : float
        Weight of the means' features against those of the pixel, > 0.
    sharpness, penalty, scene_penalty : float
        > 0.
    pixels : int
        How many of each training scene count, drawn at random; >= 1.
    """

    task = "ssr"
    prepares = True
    centres: Tensor
    middle: Tensor
    response: Tensor
    inverse: Tensor

    def __init__(
        self,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        centres: int = 800,
        windows: Sequence[int] = (7,),
        context: float = 0.5,
        sharpness: float = 5.0,
        penalty: float = 1e-3,
        scene_penalty: float = 1e-2,
        pixels: int = 2500,
    ) -> None:
        super().__init__()
        at_least("scene-ridge", 1, ms_bands=ms_bands, hs_bands=hs_bands, centres=centres, pixels=pixels)
        for name, value in (("context", context), ("sharpness", sharpness), ("penalty", penalty)):
            require("scene-ridge", value > 0, "> 0", **{name: value})
        require("scene-ridge", scene_penalty > 0, "> 0", scene_penalty=scene_penalty)
        odd = all(side >= 3 and side % 2 == 1 for side in windows)
        require("scene-ridge", odd, "odd numbers >= 3", windows=list(windows))
        self.ms_bands, self.hs_bands, self.windows = ms_bands, hs_bands, tuple(windows)
        self.context, self.sharpness, self.pixels = context, sharpness, pixels
        self.penalty, self.scene_penalty = penalty, scene_penalty
        self.products = centres * ((ms_bands + 1) * (1 + len(self.windows)) + EXPONENTIAL + hs_bands)
        self.receptive_field = max((side // 2 for side in windows), default=0)
        features = (ms_bands + 1) * (1 + len(self.windows))
        # a network that has seen nothing answers in grey, about
        self.register_buffer("middle", torch.full((features,), 1.0))
        self.register_buffer("centres", torch.randn(centres, features))
        self.register_buffer("response", (1 + 0.1 * torch.rand(ms_bands, hs_bands)) / hs_bands)
        self.register_buffer("inverse", torch.linalg.pinv(self.response))
        self.mean = nn.Parameter(1 + 0.1 * torch.randn(hs_bands))
        self.coefficients = nn.Parameter(torch.randn(centres, hs_bands) * 0.1)

    def features(self, ms: Tensor, around: Tensor | None = None) -> Tensor:
        """Return the features (N, F) of all pixels of ``ms`` (B, c, H, W), in their order.

        ``around`` (B, c windows, H, W) are the means, where they are known and the pixels' neighbours are not.
        """
        images = []
        for number, side in enumerate((1, *self.windows)):
            if around is None or number == 0:
                means = F.avg_pool2d(F.pad(ms, (side // 2,) * 4, mode="replicate"), side, stride=1)
            else:
                means = around[:, (number - 1) * self.ms_bands : number * self.ms_bands]
            mean = means.mean(1, keepdim=True).clamp(min=0) + DARK
            weight = 1.0 if side == 1 else self.context
            images += [2 * weight * (means.clamp(min=0) / mean + FLAT).sqrt(), weight * BRIGHTNESS * mean.log()]
        return torch.cat(images, 1).permute(0, 2, 3, 1).flatten(0, 2)

    def kernels(self, features: Tensor) -> Tensor:
        """Return the kernels (N, M) of features (N, F)."""
        points, centres = features - self.middle.to(features), self.centres.to(features)
        squares = torch.addmm(centres.square().sum(1), points, centres.T, alpha=-2)
        squares.add_(points.square().sum(1, keepdim=True)).clamp_(min=0)
        return squares.mul_(-self.sharpness).exp_()

    def forward(self, hr_msi: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, H, W) of ``hr_msi`` (B, c, H, W)."""
        B, _, H, W = hr_msi.shape
        wide = hr_msi.to(torch.promote_types(hr_msi.dtype, torch.float32))
        pixels, features = wide.permute(0, 2, 3, 1).flatten(0, 2), self.features(wide)
        if exporting():
            spectra = self._spectra(pixels, features)
        else:
            parts = zip(pixels.split(AT_ONCE), features.split(AT_ONCE), strict=True)
            spectra = torch.cat([self._spectra(*part) for part in parts])
        return spectra.to(hr_msi.dtype).view(B, H, W, -1).permute(0, 3, 1, 2)

    def _spectra(self, pixels: Tensor, features: Tensor) -> Tensor:
        """Return the spectra (N, C) of pixels (N, c) with features (N, F)."""
        relative = torch.addmm(self.mean.to(pixels), self.kernels(features), self.coefficients.to(pixels))
        spectra = relative * _brightness(pixels)
        return spectra + (pixels - spectra @ self.response.to(pixels).T) @ self.inverse.to(pixels).T

    @torch.no_grad()
    def set_response(self, response: Tensor) -> None:
        """Set R (c, C), the camera that results are consistent with."""
        self.response.copy_(response)
        self.inverse.copy_(torch.linalg.pinv(response))

    @torch.no_grad()
    def prepare_from(self, samples: Iterable[Mapping[str, Tensor]], seed: int = 0) -> None:
        """Draw pixels and centres, and find all coefficients.

        Parameters
        ----------
        samples : iterable of mappings
            Images ``hr_msi`` (B, c, H, W) and ``hr_hsi`` (B, C, H, W) of one scene each; read once, one at a time.
            Pixels that are not finite, or zero in every band, are left out. With ``around`` (B, c windows, H, W), the
            means over the windows are these.
        seed : int
            Of the draws of pixels and centres.
        """
        random = torch.Generator().manual_seed(seed)
        scenes, response = self._draw(samples, random)
        self.set_response(response)
        unit = torch.cat([scene.weights for scene in scenes]).mean()
        scenes = [scene._replace(weights=scene.weights / unit) for scene in scenes]
        weights = torch.cat([scene.weights for scene in scenes])
        mean = (weights * torch.cat([scene.spectra for scene in scenes])).sum(0) / weights.sum()
        features = torch.cat([scene.features for scene in scenes])
        self.mean.copy_(mean)
        self.middle.copy_(features.mean(0))
        drawn = torch.randperm(len(features), generator=random)[: len(self.centres)]
        used = len(drawn)
        self.centres.zero_()
        self.centres[:used] = (features[drawn] - self.middle.to(features)).to(self.centres)
        basis = self._basis(used)
        common = self._common([scene._replace(spectra=scene.spectra - mean) for scene in scenes], basis)
        self.coefficients.zero_()
        self.coefficients[:used] = (basis @ common).to(self.coefficients)

    def _basis(self, used: int) -> Tensor:
        """Return combinations (used, r) of the kernels in which ``|C|²`` is the sum of squares, float64."""
        centres = self.centres[:used].double() + self.middle.double()
        values, vectors = torch.linalg.eigh(self.kernels(centres)[:, :used])
        kept = values > LEAST_EIGENVALUE * values[-1]
        return vectors[:, kept] / values[kept].sqrt()

    def _common(self, scenes: Sequence[SceneSamples], basis: Tensor) -> Tensor:
        """Return the coefficients (r, C) of what the scenes have in common.

        With the normal equations ``A_s (F + G_s) = Q_s`` of scene s, G_s is eliminated by its own equation
        ``A_s (F + G_s) + λ G_s = Q_s``, λ the scene penalty. What is left of A_s is ``λ (A_s + λ)⁻¹ A_s``, which is at
        most λ however many pixels the scene has, and likewise of Q_s.
        """
        r = basis.shape[1]
        unit = torch.eye(r, dtype=basis.dtype)
        gram, moment = self.penalty * unit, basis.new_zeros(r, self.hs_bands)
        for scene in scenes:
            rows = self.kernels(scene.features)[:, : len(basis)] @ basis
            own = torch.cat([rows, scene.spectra], 1)
            equations = (scene.weights * rows).T @ own / len(rows)
            left = self.scene_penalty * torch.linalg.solve(equations[:, :r] + self.scene_penalty * unit, equations)
            gram, moment = gram + left[:, :r], moment + left[:, r:]
        return torch.linalg.solve(gram, moment)

    def _draw(
        self, samples: Iterable[Mapping[str, Tensor]], random: torch.Generator
    ) -> tuple[list[SceneSamples], Tensor]:
        """Return what is drawn of each scene, and R (c, C), by which MS bands are sums of HS bands."""
        scenes, seen, true = [], [], []
        for sample in samples:
            ms, hs = (sample[name].double().permute(0, 2, 3, 1).flatten(0, 2) for name in ("hr_msi", "hr_hsi"))
            around = sample.get("around")
            features = self.features(sample["hr_msi"].double(), None if around is None else around.double())
            good = torch.isfinite(torch.cat([ms, features, hs], 1)).all(1) & (hs != 0).any(1)
            places = good.nonzero()[:, 0]
            places = places[torch.randperm(len(places), generator=random)[: self.pixels]]
            if len(places):
                seen.append(ms[places])
                true.append(hs[places])
                brightness = _brightness(seen[-1])
                scenes.append(SceneSamples(features[places], true[-1] / brightness, brightness))
        if not scenes:
            raise InputError("scene-ridge needs training images; there are none, or no pixel of them is valid")
        return scenes, torch.linalg.lstsq(torch.cat(true), torch.cat(seen), driver="gelsd").solution.T


def _brightness(ms: Tensor) -> Tensor:
    """Return what spectra are relative to, (N, 1), of pixels (N, c)."""
    return ms.mean(1, keepdim=True).clamp(min=0) + DARK
