"""Spectra whose first bands, which a camera hardly sees, are those of brighter pixels of the same colour.

finewave's own. Below 420 nm a camera sees next to nothing, so a spectrum ends there as the training's do. Dark training
pixels end in the noise and the black level of the camera that took them: in CAVE's, 400 nm is three times 440 nm. For
photographs these are learned from brighter pixels alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from finewave.physics.sensors.estimation import linear_response
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least, require
from finewave.systems.scene_ridge.network import SceneRidge

DARKEST = 1e-6
"""Brightness of a pixel, at least, when it is compared with ``lift``."""


class BlueEnd(SRNetwork):
    """HR-HSI by two `SceneRidge`: one for all bands, and one, of bright pixels, for the first bands.

    With the mean b over the MS bands x of a pixel and the gain ``g = max(1, lift / b)``, the first bands are
    ``E(g x) / g``, where E was fitted to training pixels with ``b >= lift``; the others are those of ``P(x)``, P fitted
    to all pixels. Then ``R⁺ (x - R y)``, R⁺ of the other bands' columns of R, is added to these, as the camera is to
    see x.

    Parameters
    ----------
    ms_bands, hs_bands : int
        c and C.
    first : int
        How many bands, 1 to C - c.
    lift : float
        Brightness > 0.
    ridge : dict, optional
        Options of both, see `SceneRidge`.

    Raises
    ------
    InputError
        A ``ValueError``, if a value is out of range.
    """

    task = "ssr"
    prepares = True
    inverse: Tensor

    def __init__(
        self,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        first: int = 2,
        lift: float = 0.1,
        ridge: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        at_least("blue-end", 1, ms_bands=ms_bands, hs_bands=hs_bands)
        most = hs_bands - ms_bands
        require("blue-end", 1 <= first <= most, f"from 1 to {most}, which is hs_bands - ms_bands", first=first)
        require("blue-end", 0 < lift < float("inf"), "a number > 0", lift=lift)
        self.ms_bands, self.hs_bands, self.first, self.lift = ms_bands, hs_bands, first, lift
        self.every = SceneRidge(ms_bands, hs_bands, **(ridge or {}))
        self.bright = SceneRidge(ms_bands, hs_bands, **(ridge or {}))
        # of a network that has seen nothing: its bands are nearly alike
        self.register_buffer("inverse", torch.linalg.pinv(self.every.response[:, first:], rtol=0.2))

    @property
    def receptive_field(self) -> int | None:
        """Distance in pixels at which a pixel affects the output."""
        return self.every.receptive_field

    @property
    def products(self) -> float:
        """See `SRNetwork`: those of both."""
        return self.every.products + self.bright.products

    def forward(self, hr_msi: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, H, W) of ``hr_msi`` (B, c, H, W)."""
        x = hr_msi.to(torch.promote_types(hr_msi.dtype, torch.float32))
        gain = self._gain(x)
        rest = self.every(x)[:, self.first :]
        y = torch.cat([(self.bright(x * gain) / gain)[:, : self.first], rest], 1)
        missing = x - torch.einsum("kc,bcyx->bkyx", self.every.response.to(x), y)
        change = torch.einsum("ck,bkyx->bcyx", self.inverse.to(x), missing)
        return torch.cat([y[:, : self.first], rest + change], 1).to(hr_msi.dtype)

    def _gain(self, ms: Tensor) -> Tensor:
        return (self.lift / ms.mean(1, keepdim=True).clamp(min=DARKEST)).clamp(min=1)

    @torch.no_grad()
    def prepare_from(self, samples: Iterable[Mapping[str, Tensor]], seed: int = 0) -> None:
        """Fit both, the second to pixels that are bright enough; see `SceneRidge.prepare_from`.

        R is found by least squares; with ``true_msi`` in the samples, where ``hr_msi`` is an estimate, by these:
        errors of the estimate would make a rugged response of it, and rugged spectra.

        Raises
        ------
        InputError
            If there are no training images, or no pixel of them is so bright.
        """
        kept = list(samples)
        self.every.prepare_from(kept, seed)
        self.bright.prepare_from((self._bright(sample) for sample in kept), seed)
        response = _response_of(kept)
        self.every.set_response(response)
        self.bright.set_response(response)
        self.inverse.copy_(torch.linalg.pinv(response[:, self.first :]))

    def _bright(self, sample: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a sample as `forward` sees it, whose dark pixels are left out, as they are not finite."""
        ms = sample["hr_msi"]
        dark = ms.mean(1, keepdim=True) < self.lift
        lifted = {
            name: torch.cat([part * self._gain(part) for part in sample[name].split(self.ms_bands, 1)], 1)
            for name in ("hr_msi", "around")
            if name in sample
        }
        return {**sample, **lifted, "hr_hsi": sample["hr_hsi"].masked_fill(dark, torch.nan)}


def _response_of(samples: Iterable[Mapping[str, Tensor]]) -> Tensor:
    """Return R (c, C) by which MS bands are sums of HS bands, float64, by least squares over all finite pixels."""
    sums = []
    for sample in samples:
        seen = sample.get("true_msi", sample["hr_msi"])
        x, y = (image.double().transpose(0, 1).flatten(1) for image in (seen, sample["hr_hsi"]))
        good = torch.isfinite(torch.cat([x, y])).all(0)
        x, y = x[:, good], y[:, good]
        sums.append(((y @ y.T).numpy(), (y @ x.T).numpy()))
    grams, moments = zip(*sums, strict=True)
    return torch.from_numpy(linear_response(np.sum(grams, axis=0), np.sum(moments, axis=0)))
