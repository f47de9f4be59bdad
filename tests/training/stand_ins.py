"""Networks of each task that are as small as can be, in the registry under names of their own."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from finewave.nn.sampling import bicubic
from finewave.systems.base import SRNetwork
from finewave.systems.registry import SYSTEMS, System


class PlainSR(SRNetwork):
    """Bicubic interpolation and a residual; BatchNorm, so that a state has buffers."""

    task = "sr"

    def __init__(self, scale: int = 4, hs_bands: int = 31) -> None:
        super().__init__()
        self.scale, self.hs_bands, self.receptive_field = scale, hs_bands, 3
        self.residual = nn.Sequential(
            nn.Conv2d(hs_bands, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, hs_bands, 1)
        )

    def forward(self, lr_hsi: Tensor) -> Tensor:
        x = bicubic(lr_hsi, (lr_hsi.shape[2] * self.scale, lr_hsi.shape[3] * self.scale))
        return x + self.residual(x)


class PlainSSR(SRNetwork):
    """A perceptron in every pixel, with a loss of its own."""

    task = "ssr"

    def __init__(self, ms_bands: int = 3, hs_bands: int = 31, width: int = 8) -> None:
        super().__init__()
        self.ms_bands, self.hs_bands, self.receptive_field = ms_bands, hs_bands, 0
        self.layers = nn.Sequential(nn.Conv2d(ms_bands, width, 1), nn.PReLU(), nn.Conv2d(width, hs_bands, 1))

    def forward(self, hr_msi: Tensor) -> Tensor:
        return self.layers(hr_msi)

    def training_loss(self, batch: Mapping[str, Tensor], done: float) -> tuple[Tensor, dict[str, Tensor]]:
        output = self(batch["hr_msi"])
        terms = {"done": torch.tensor(done)}
        if "response" in batch:
            seen = torch.einsum("kc,bchw->bkhw", batch["response"], output.float())
            terms["colour"] = (seen - batch["hr_msi"]).abs().mean()
        return output, terms


class PlainFusion(SRNetwork):
    """Bicubic interpolation and what the MSI adds to it."""

    task = "fusion"

    def __init__(self, scale: int = 4, ms_bands: int = 3, hs_bands: int = 31) -> None:
        super().__init__()
        self.scale, self.ms_bands, self.hs_bands, self.receptive_field = scale, ms_bands, hs_bands, 3
        self.mix = nn.Conv2d(ms_bands + hs_bands, hs_bands, 1)

    def forward(self, lr_hsi: Tensor, hr_msi: Tensor) -> Tensor:
        x = bicubic(lr_hsi, (hr_msi.shape[2], hr_msi.shape[3]))
        return x + self.mix(torch.cat((x, hr_msi), 1))


class PlainRefSR(PlainSR):
    """`PlainSR` that also knows the mean colour of the reference."""

    task = "refsr"

    def __init__(self, scale: int = 4, hs_bands: int = 31) -> None:
        super().__init__(scale, hs_bands)
        self.colour = nn.Linear(3, hs_bands)

    def forward(self, lr_hsi: Tensor, ref_rgb: Tensor) -> Tensor:
        return super().forward(lr_hsi) + self.colour(ref_rgb.mean((2, 3)))[:, :, None, None]


STAND_INS = {
    "plain-refsr": System(f"{__name__}:PlainRefSR", "refsr"),
    "plain-sr": System(f"{__name__}:PlainSR", "sr"),
    "plain-ssr": System(f"{__name__}:PlainSSR", "ssr"),
    "plain-fusion": System(f"{__name__}:PlainFusion", "fusion"),
}


def register() -> None:
    """Add them to the registry."""
    SYSTEMS.update(STAND_INS)
