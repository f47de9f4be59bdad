"""CNMF: both images are mixtures of the same materials, unmixed in turns.

N. Yokoya, T. Yairi, A. Iwasaki, "Coupled nonnegative matrix factorization unmixing for hyperspectral and multispectral
data fusion", IEEE TGRS 50(2), 2012. No training. The endmembers start from the successive projection algorithm (Araujo
et al., 2001), which is deterministic, in place of VCA; the spectral response is estimated from the two images.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from finewave.nn.sampling import bicubic
from finewave.physics.observation import Observation
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least

TINY = 1e-9


class CNMF(SRNetwork):
    """``X = W A`` with ``h = W A_h`` (A_h: A degraded) and ``m = R W A``, all nonnegative.

    Multiplicative updates alternate between the HSI (W and A_h; first A_h alone) and the MSI (first A alone, then R W
    and A), as in the paper's section III. ``sum_to_one`` weighs the constraint that the abundances of a pixel sum to
    one.

    Parameters
    ----------
    scale : int
        s >= 2.
    ms_bands, hs_bands : int
        c and C.
    endmembers : int
        Maximum number of materials.
    turns, iterations : int
        Alternations between the two images, and updates in each.
    sum_to_one : float
        Weight of the constraint, implemented as an additional band of that constant value; 0 for none.
    degradation : dict, optional
        How the LR-HSI was made: keyword arguments of `degrade`; by default its Gaussian.
    """

    task = "fusion"
    receptive_field = None  # uses statistics of the whole image
    export_lacks: ClassVar = dict.fromkeys(
        ("onnx", "pt2"), "it selects endmembers by value, and solves least squares with SciPy"
    )

    def __init__(
        self,
        scale: int = 4,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        endmembers: int = 20,
        turns: int = 3,
        iterations: int = 50,
        sum_to_one: float = 0.0,
        degradation: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.observation = Observation(scale, degradation, "cnmf")
        at_least("cnmf", 1, ms_bands=ms_bands, hs_bands=hs_bands, endmembers=endmembers)
        at_least("cnmf", 1, turns=turns, iterations=iterations)
        at_least("cnmf", 0, sum_to_one=sum_to_one)
        self.scale, self.ms_bands, self.hs_bands = scale, ms_bands, hs_bands
        self.endmembers, self.turns, self.iterations, self.sum_to_one = endmembers, turns, iterations, sum_to_one

    def forward(self, lr_hsi: Tensor, hr_msi: Tensor) -> Tensor:
        """Return (B, C, s h, s w) of ``lr_hsi`` (B, C, h, w) and ``hr_msi`` (B, c, s h, s w)."""
        wide = torch.promote_types(lr_hsi.dtype, torch.float32)
        pairs = zip(lr_hsi.to(wide).clamp(min=0), hr_msi.to(wide).clamp(min=0), strict=True)
        return torch.stack([self._fuse(h, m) for h, m in pairs]).to(lr_hsi.dtype)

    def _fuse(self, h: Tensor, m: Tensor) -> Tensor:
        """Fuse one pair (C, h, w), (c, H, W)."""
        (C, height, width), (_, H, W) = h.shape, m.shape
        low_msi = self.observation(m)
        hs, ms = h.flatten(1), m.flatten(1)
        response = nonnegative_response(hs, low_msi.flatten(1))

        spectra = successive_projections(hs, self.endmembers)  # (C, M)
        M = spectra.shape[1]
        low = torch.full((M, height * width), 1 / M, dtype=h.dtype, device=h.device)
        for turn in range(self.turns):
            for step in range(self.iterations):
                low = self._abundances(low, spectra, hs)
                if turn or step >= self.iterations // 2:  # newly initialised factors are updated alone first
                    spectra = _update(spectra.T, low.T, hs.T).T
            if turn == 0:
                high = bicubic(low.view(1, M, height, width), (H, W))[0].clamp(min=0).flatten(1)
            seen = response @ spectra
            high = self._abundances(high, seen, ms, self.iterations)
            low = self.observation(high.view(M, H, W)).clamp(min=TINY).flatten(1)
        return (spectra @ high).view(C, H, W)

    def _abundances(self, abundances: Tensor, spectra: Tensor, image: Tensor, steps: int = 1) -> Tensor:
        """Return the abundances (M, N) after updates for ``image`` (bands, N)."""
        if self.sum_to_one:
            spectra = torch.cat((spectra, torch.full_like(spectra[:1], self.sum_to_one)))
            image = torch.cat((image, torch.full_like(image[:1], self.sum_to_one)))
        return _update(abundances, spectra, image, steps)


def _update(factor: Tensor, other: Tensor, product: Tensor, steps: int = 1) -> Tensor:
    """Return ``factor`` (M, N) after multiplicative steps towards ``other @ factor = product`` (Lee, Seung, 2001)."""
    numerator, gram = other.T @ product, other.T @ other
    for _ in range(steps):
        denominator = (gram @ factor).add_(TINY)
        factor = denominator.reciprocal_().mul_(numerator).mul_(factor)
    return factor


def successive_projections(pixels: Tensor, count: int) -> Tensor:
    """Return the spectra (C, M) of pixels that best span all others, M <= ``count`` (Araujo et al., 2001).

    Each is the spectrum farthest from the span of those before; stops early if no residual is left.
    """
    rest = pixels.clone()
    selected: list[int] = []
    largest = float(rest.square().sum(0).max())
    while len(selected) < min(count, *pixels.shape):
        energy = rest.square().sum(0)
        best = int(energy.argmax())
        if selected and float(energy[best]) <= 1e-10 * largest:
            break
        selected.append(best)
        direction = rest[:, best] / rest[:, best].norm().clamp(min=TINY)
        rest = rest - torch.outer(direction, direction @ rest)
    return pixels[:, selected].clamp(min=TINY)


def nonnegative_response(hs: Tensor, ms: Tensor) -> Tensor:
    """Return R (c, C) >= 0 of least squared error in ``ms`` = R ``hs``, from pixels (c, N) and (C, N)."""
    from scipy.optimize import nnls

    # the R factor of a QR decomposition holds the same least-squares information in C rows
    reduced = torch.linalg.qr(torch.cat((hs, ms)).double().T, mode="r").R.cpu().numpy()
    C = len(hs)
    rows = [nnls(reduced[:, :C], reduced[:, C + i])[0] for i in range(len(ms))]
    return torch.from_numpy(np.stack(rows)).to(hs)
