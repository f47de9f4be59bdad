"""The branches of JSSUNet as separate networks; SR and SSR as in tables III and IV of arXiv 2505.24605.

Each is the branch of `finewave.systems.jssunet.network.JSSUNet`, unchanged, with its terms of eq. (6). In a composition
(`finewave.systems.compositions.networks`) its input is the same as in JSSUNet: the LR-MSI.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from finewave.systems.base import SRNetwork
from finewave.systems.jssunet.clusters import balance_penalty
from finewave.systems.jssunet.network import JSSUNet
from finewave.systems.jssunet.start import fit_fusion_operators, fit_spectral_operators
from finewave.systems.option_checks import at_least


class JSSUNetSR(SRNetwork):
    """``jssunet-sr``: an LR image (B, C, h, w) to (B, C, s h, s w) by the SR branch (section III-A).

    Parameters
    ----------
    scale, hs_bands : int
        s, and the bands of the image, which the branch of JSSUNet has three of.
    stages, features, upsampling, progressive, initialisation
        As in `finewave.systems.jssunet.network.JSSUNet`.
    """

    task = "sr"

    def __init__(
        self,
        scale: int = 4,
        hs_bands: int = 31,
        *,
        stages: int = 4,
        features: int = 128,
        upsampling: Literal["back-projection", "forward"] = "back-projection",
        progressive: bool = True,
        initialisation: Literal["operators", "framework"] = "operators",
    ) -> None:
        super().__init__()
        at_least("jssunet-sr", 1, hs_bands=hs_bands)
        whole = JSSUNet(
            scale,
            hs_bands,
            1,
            stages=stages,
            features=features,
            upsampling=upsampling,
            progressive=progressive,
            clusters="none",
            post=False,
            initialisation=initialisation,
        )
        self.scale, self.hs_bands = scale, hs_bands
        self.branch = whole.sr
        self.receptive_field = self.branch.receptive_field

    def forward(self, lr_hsi: Tensor) -> Tensor:
        """Return the last estimate, (B, C, s h, s w)."""
        return self.branch(lr_hsi)[-1]

    def training_loss(self, batch: Mapping[str, Tensor], done: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the last estimate and the term ``stages``, the mean over stages of eq. (6)."""
        estimates = self.branch(batch["lr_hsi"])
        return estimates[-1], {"stages": _stages(estimates, batch["hr_hsi"])}


class JSSUNetSSR(SRNetwork):
    """``jssunet-ssr``: a multispectral image (B, c, h, w) to (B, C, h, w) by the SSR branch (section III-B).

    Parameters
    ----------
    ms_bands, hs_bands : int
        c and C.
    stages, features, clusters, n_clusters, adjoint_relu, initialisation
        As in `finewave.systems.jssunet.network.JSSUNet`.
    """

    task = "ssr"
    scale = 1

    def __init__(
        self,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        stages: int = 4,
        features: int = 128,
        clusters: Literal["learned", "kmeans", "none"] = "learned",
        n_clusters: int = 10,
        adjoint_relu: bool = True,
        initialisation: Literal["operators", "framework"] = "operators",
    ) -> None:
        super().__init__()
        whole = JSSUNet(
            2,
            ms_bands,
            hs_bands,
            stages=stages,
            features=features,
            clusters=clusters,
            n_clusters=n_clusters,
            adjoint_relu=adjoint_relu,
            post=False,
            initialisation=initialisation,
        )
        self.ms_bands, self.hs_bands = ms_bands, hs_bands
        self.branch, self.fits_operators = whole.ssr, whole.fits_operators
        self.receptive_field, self.n_global_poolings = (
            self.receptive_field_with_pooling(0),
            self.branch.n_global_poolings,
        )

    def receptive_field_with_pooling(self, window: int) -> int:
        """Return `receptive_field` with channel pooling over windows of the given side in pixels."""
        return self.branch.receptive_field_with_pooling(window)

    @property
    def prepares(self) -> bool:
        """Whether centroids or operators have to be fitted before training."""
        return self.fits_operators or self.branch.clusters.kind == "kmeans"

    def prepare_from(self, samples: Iterable[Mapping[str, Tensor]], seed: int) -> None:
        """Set centroids and fit operators as JSSUNet does, from ``hr_msi`` and ``hr_hsi``."""
        pairs = self.branch.clusters.prepare(((sample["hr_msi"], sample["hr_hsi"]) for sample in samples), seed)
        if self.fits_operators:
            fit_spectral_operators(self.branch, pairs, seed)

    def forward(self, hr_msi: Tensor) -> Tensor:
        """Return the last estimate, (B, C, h, w)."""
        _, estimates, _, _ = self.branch(hr_msi)
        return estimates[-1]

    def training_loss(self, batch: Mapping[str, Tensor], done: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the last estimate, ``stages`` (the mean over the stages of eq. (6)) and ``balance``.

        ``balance`` is `finewave.systems.jssunet.clusters.balance_penalty` for learned clusters only.
        """
        _, estimates, _, probability = self.branch(batch["hr_msi"])
        stages = _stages(estimates, batch["hr_hsi"])
        learned = self.branch.clusters.kind == "learned"
        return estimates[-1], {
            "stages": stages,
            "balance": balance_penalty(probability) if learned else torch.zeros_like(stages),
        }


class JSSUNetFusion(SRNetwork):
    """``jssunet-fusion``: LR-HSI (B, C, h, w) and HR-MSI (B, c, s h, s w) to HR-HSI by the fusion branch (III-C).

    In JSSUNet the branch receives estimates of both images; here it receives the observed ones.

    Parameters
    ----------
    scale, ms_bands, hs_bands : int
        s, c and C.
    stages, features, hfi_with_low, hfi_blocks, fusion_blocks, initialisation
        As in `finewave.systems.jssunet.network.JSSUNet`.
    """

    task = "fusion"

    def __init__(
        self,
        scale: int = 4,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        stages: int = 4,
        features: int = 128,
        hfi_with_low: bool = False,
        hfi_blocks: int = 0,
        fusion_blocks: int = 3,
        initialisation: Literal["operators", "framework"] = "operators",
    ) -> None:
        super().__init__()
        whole = JSSUNet(
            scale,
            ms_bands,
            hs_bands,
            stages=stages,
            features=features,
            hfi_with_low=hfi_with_low,
            hfi_blocks=hfi_blocks,
            fusion_blocks=fusion_blocks,
            clusters="none",
            post=False,
            initialisation=initialisation,
        )
        self.scale, self.ms_bands, self.hs_bands = scale, ms_bands, hs_bands
        self.branch, self.fits_operators = whole.fusion, whole.fits_operators
        self.receptive_field = self.branch.receptive_field

    @property
    def prepares(self) -> bool:
        """Whether there are operators to be fitted."""
        return self.fits_operators

    def prepare_from(self, samples: Iterable[Mapping[str, Tensor]], seed: int) -> None:
        """Fit the linear operators of the fusion to ``hr_msi`` and ``hr_hsi`` of the training images."""
        if self.fits_operators:
            fit_fusion_operators(self.branch, ((s["hr_msi"], s["hr_hsi"]) for s in samples), seed)

    def forward(self, lr_hsi: Tensor, hr_msi: Tensor) -> Tensor:
        """Return the last estimate, (B, C, s h, s w)."""
        return self.branch(hr_msi, lr_hsi)[-1]

    def training_loss(self, batch: Mapping[str, Tensor], done: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the last estimate and the term ``stages``, the mean over stages of eq. (6)."""
        estimates = self.branch(batch["hr_msi"], batch["lr_hsi"])
        return estimates[-1], {"stages": _stages(estimates, batch["hr_hsi"])}


def _stages(estimates: Sequence[Tensor], target: Tensor) -> Tensor:
    return torch.stack([F.l1_loss(estimate.to(target.dtype), target) for estimate in estimates]).mean()
