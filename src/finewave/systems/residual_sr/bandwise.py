"""`ResidualSR` for any number of bands: each band by itself, with a look at its neighbours.

finewave's own. The weights do not depend on sensor or number of bands, so they can be learned where edges are plenty,
in photographs, and used for an instrument that nobody trained for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from finewave.nn.losses import LOSSES
from finewave.nn.sampling import bicubic
from finewave.physics.observation import Observation
from finewave.systems.option_checks import at_least
from finewave.systems.residual_sr.network import ConsistentResidualSR

AT_ONCE = 1 << 16
"""LR pixels times bands whose features are held at a time in evaluation: 12 MB for each of 48 features' layers."""

BANDS_A_STEP = 16
"""Bands whose error a training step looks at, next to each other."""
USUAL: tuple[dict[str, Any], ...] = ({}, {"kernel": "gaussian"})
"""Degradations that the weights are trained for."""


class BandwiseSR(ConsistentResidualSR):
    """LR-HSI to HR-HSI: (B, C, h, w) to (B, C, s h, s w), one band after the other.

    As `finewave.systems.residual_sr.network.ResidualSR`, ``x = U y + N y`` and the result ``x + D⁺ (y - D x)``; here N
    makes each band of that band and ``neighbours`` bands to either side of it in the order of the scene, its first and
    last one repeated beyond the ends. Neighbours share edges, and not noise. With another observation than `degrade`'s
    Gaussian D₀, N is given D₀ D⁺ y, the image as D₀ would have seen it: weights trained for one blur serve all.

    Parameters
    ----------
    scale : int
        s >= 2.
    hs_bands : int or None
        C; None: any number, the weights are the same.
    features, blocks : int
        Width and number of the residual blocks.
    neighbours : int
        >= 0.
    degradation : dict, optional
        D: keyword arguments of `degrade`; by default its Gaussian. Separable and symmetric kernels only.
    """

    def __init__(
        self,
        scale: int = 2,
        hs_bands: int | None = 31,
        *,
        features: int = 48,
        blocks: int = 6,
        neighbours: int = 1,
        degradation: dict[str, Any] | None = None,
    ) -> None:
        at_least("bandwise-sr", 1, **({} if hs_bands is None else {"hs_bands": hs_bands}))
        at_least("bandwise-sr", 0, neighbours=neighbours)
        super().__init__("bandwise-sr", scale, (2 * neighbours + 1, 1), features, blocks, degradation)
        self.usual = Observation(scale, None, "bandwise-sr") if self.observation.options not in USUAL else None
        self.hs_bands, self.neighbours = hs_bands, neighbours

    @property
    def receptive_field(self) -> int:
        """Distance in LR pixels up to which an input pixel acts on an output pixel."""
        before = 0 if self.usual is None else self.usual.reach + self.inverse.reach
        return before + super().receptive_field

    def with_neighbours(self, image: Tensor) -> Tensor:
        """Return each band (B, C, h, w) with those around it, (B, C, 2 neighbours + 1, h, w)."""
        places = torch.arange(image.shape[1], device=image.device)[:, None]
        places = places + torch.arange(-self.neighbours, self.neighbours + 1, device=image.device)
        return image[:, places.clamp(0, image.shape[1] - 1)]

    def seen(self, lr_hsi: Tensor) -> Tensor:
        """Return the image as the blur of the training would have seen it."""
        return lr_hsi if self.usual is None else self.usual(self.inverse(lr_hsi))

    def forward(self, lr_hsi: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, s h, s w) of ``lr_hsi`` (B, C, h, w)."""
        B, C, h, w = lr_hsi.shape
        y = lr_hsi.to(torch.promote_types(lr_hsi.dtype, torch.float32))
        usual = self.seen(y)
        groups = self.with_neighbours(usual.to(lr_hsi.dtype)).flatten(0, 1)  # (B C, 2 n + 1, h, w)
        together = len(groups) if torch.is_grad_enabled() else max(1, AT_ONCE // (h * w))
        residual = torch.cat([self.residual(some) for some in groups.split(together)])
        wide = residual.to(y.dtype).view(B, C, self.scale * h, self.scale * w)
        return self.completed(bicubic(usual, (wide.shape[2], wide.shape[3])) + wide, y).to(lr_hsi.dtype)

    def training_loss(self, batch: Mapping[str, Tensor], done: float) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Return the losses of some bands: neighbouring ones teach the same, and a step costs as many as it takes."""
        del done
        count = batch["lr_hsi"].shape[1]
        if not self.training or count <= BANDS_A_STEP + 2 * self.neighbours:
            return self(batch["lr_hsi"]), {}
        first = int(torch.randint(count - BANDS_A_STEP - 2 * self.neighbours + 1, ()))
        part = slice(first, first + BANDS_A_STEP + 2 * self.neighbours)
        own = slice(self.neighbours, self.neighbours + BANDS_A_STEP)
        result, target = self(batch["lr_hsi"][:, part])[:, own], batch["hr_hsi"][:, part][:, own]
        return None, {name: LOSSES[name](result, target) for name in ("l1", "mse", "sam")}
