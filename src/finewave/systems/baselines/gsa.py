"""GSA hypersharpening: detail of the MSI, injected band by band.

B. Aiazzi, S. Baronti, M. Selva, "Improving component substitution pansharpening through multivariate regression of MS +
Pan data", IEEE TGRS 45(10), 2007: Gram-Schmidt adaptive. M. Selva, B. Aiazzi, F. Butera, L. Chiarantini, S. Baronti,
"Hyper-sharpening: a first approach on SIM-GA data", IEEE JSTARS 8(6), 2015: a sharp band for each HS band, synthesised
from the MS bands. No training.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from finewave.nn.sampling import bicubic
from finewave.physics.observation import Observation
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least


class GSA(SRNetwork):
    """For each HS band k: ``H_k = up(h_k) + g_k (P_k - I_k)``.

    All regressions are least squares with a constant, over the LR pixels of the image:

    - P_k, the sharp band: h_k as a combination of the degraded MS bands, the weights applied to the MSI (Selva et al.,
      synthesised band);
    - I_k, the intensity: P_k, degraded, as a combination of all HS bands, the weights applied to the upsampled HSI
      (Aiazzi et al., eq. 10);
    - g_k = cov(h_k, I_k) / var(I_k) (Aiazzi et al., eq. 7).

    Parameters
    ----------
    scale : int
        s >= 2.
    ms_bands, hs_bands : int
        c and C.
    degradation : dict, optional
        How the LR-HSI was made: keyword arguments of `degrade`; by default its Gaussian.
    """

    task = "fusion"
    receptive_field = None  # uses statistics of the whole image
    export_lacks: ClassVar = {"onnx": "its least squares need a pseudo-inverse, which ONNX lacks"}

    def __init__(
        self,
        scale: int = 4,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        degradation: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.observation = Observation(scale, degradation, "gsa")
        at_least("gsa", 1, ms_bands=ms_bands, hs_bands=hs_bands)
        self.scale, self.ms_bands, self.hs_bands = scale, ms_bands, hs_bands

    def forward(self, lr_hsi: Tensor, hr_msi: Tensor) -> Tensor:
        """Return (B, C, s h, s w) of ``lr_hsi`` (B, C, h, w) and ``hr_msi`` (B, c, s h, s w)."""
        wide = torch.promote_types(lr_hsi.dtype, torch.float32)
        h, sharp = lr_hsi.to(wide), hr_msi.to(wide)
        low = self.observation(sharp)
        pixels, low_pixels = _pixels(h).double(), _pixels(low).double()

        to_band = _regression(low_pixels, pixels)  # (B, 1 + c, C)
        sharp_low = _with_constant(low_pixels) @ to_band
        to_intensity = _regression(pixels, sharp_low)  # (B, 1 + C, C)
        intensity_low = _with_constant(pixels) @ to_intensity
        gain = _gain(pixels, intensity_low)  # (B, 1, C)

        up = bicubic(h, (sharp.shape[2], sharp.shape[3]))
        detail = _combined(sharp, to_band) - _combined(up, to_intensity)
        return (up + gain.to(wide).mT.unsqueeze(3) * detail).to(lr_hsi.dtype)


def _pixels(image: Tensor) -> Tensor:
    """Return the spectra (B, N, C) of an image (B, C, h, w)."""
    return image.flatten(2).mT


def _with_constant(x: Tensor) -> Tensor:
    return torch.cat((torch.ones_like(x[..., :1]), x), -1)


def _regression(x: Tensor, y: Tensor) -> Tensor:
    """Return the least-squares weights (B, 1 + n, m) of ``y`` (B, N, m) on a constant and ``x`` (B, N, n)."""
    rows = _with_constant(x)
    gram, moment = rows.mT @ rows, rows.mT @ y
    # the pseudo-inverse, because small or flat images do not determine all weights
    return torch.linalg.pinv(gram, rtol=1e-12, hermitian=True) @ moment


def _combined(image: Tensor, weights: Tensor) -> Tensor:
    """Apply weights (B, 1 + n, m) to every pixel of an image (B, n, H, W)."""
    weights = weights.to(image)
    return torch.einsum("bnm,bnhw->bmhw", weights[:, 1:], image) + weights[:, 0, :, None, None]


def _gain(bands: Tensor, intensity: Tensor) -> Tensor:
    """Return cov(band, intensity) / var(intensity) over the pixels, (B, 1, C); 0 where the intensity is constant."""
    a, b = (x - x.mean(1, keepdim=True) for x in (bands, intensity))
    variance = (b * b).mean(1, keepdim=True)
    return torch.where(variance > 1e-12, (a * b).mean(1, keepdim=True) / variance.clamp(min=1e-12), 0.0)
