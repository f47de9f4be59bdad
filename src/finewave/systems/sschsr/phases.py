"""The three phases of SSC-HSR's training (arXiv 2505.02109): flow, then the warp network, then the fusion.

The first two train on synthetic pairs of views (`finewave.datasets.synthetic_views`), the third on low-resolution
images with a reference. Common options:

- ``losses``: weights of the phase's terms by name;
- ``freeze``: attributes of the network that do not learn in this phase;
- ``pretrained``: files for `finewave.systems.sschsr.pretrained.load_pretrained`, loaded when the phase begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from finewave.errors import InputError, unknown_name
from finewave.nn.losses import LOSSES
from finewave.nn.warping import pixel_grid, sample_at
from finewave.systems.base import SRNetwork
from finewave.systems.objective import Batch, Loss, Objective, weighted_sum
from finewave.systems.sschsr.histogram import match_histograms
from finewave.systems.sschsr.network import SSCHSR, AlignedInputs
from finewave.systems.sschsr.pretrained import load_pretrained
from finewave.systems.sschsr.raft import sequence_loss

NEEDED = ("ref_rgb", "source_rgb", "flow", "visible")


class Aligned(Objective):
    """Base of the three phases: pretrained parts, frozen parts, the sum of weighted terms."""

    learns: tuple[str, ...] = ()  # attributes of the network; empty: all

    def __init__(self, net: SRNetwork, options: Mapping[str, Any]) -> None:
        super().__init__(net, options)
        if not isinstance(net, SSCHSR):
            raise InputError(f"phases of kind {options['kind']!r} are for ssc-hsr; the recipe's network is another")
        load_pretrained(net, **(options.get("pretrained") or {}))
        parts = [name for name, _ in net.named_children()]
        net.requires_grad_(not self.learns)
        for name in self.learns:
            net.get_submodule(name).requires_grad_(True)
        for name in options.get("freeze") or ():
            if name not in parts:
                raise unknown_name("part of ssc-hsr to freeze", name, parts)
            net.get_submodule(name).requires_grad_(False)
        net.train()  # set again, so that frozen parts stay in evaluation mode, see `RAFT`

    def loss(self, net: Any, batch: Batch, done: float) -> Loss:
        """Return the weighted sum of the phase's terms."""
        missing = [name for name in NEEDED if name not in batch]
        if missing:
            raise InputError(f"phases of ssc-hsr need a recipe with data.reference: batches have no {missing[0]}")
        terms, logged = self.terms(net, batch)
        total, more = weighted_sum(self.options["losses"], terms)
        return Loss(total, more | logged)

    def terms(self, net: Any, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the unweighted terms of the loss, and further values to log, by name."""
        raise NotImplementedError  # defined by each of the three phases


class Flow(Aligned):
    """First stage of the alignment: RAFT on the pseudo-RGB of the LR-HSI and the reference, with the exact flow.

    Terms: ``sequence``, eq. (7) of arXiv 2003.12039 on visible pixels. Validated by the warped reference.
    """

    learns = ("flow_network",)

    def terms(self, net: Any, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the term ``sequence``; logged: the end-point error of the last flow, in pixels."""
        prepared, height, width = _prepared(net, batch)
        flows, _ = net.flow_network.forward_all(prepared.image, prepared.reference)
        flows = [flow[..., :height, :width] for flow in flows]
        seen = batch["visible"] > 0
        error = (flows[-1] - batch["flow"]).norm(dim=1, keepdim=True)[seen]
        terms = {"sequence": sequence_loss(flows, batch["flow"], batch["visible"])}
        return terms, {"end_point_error": error.detach().mean()}

    def compared(self, net: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the warped reference, and the reference camera's image from the first viewpoint."""
        return _reference(net, batch, refined=False), batch["source_rgb"]


class Warp(Aligned):
    """Second stage of the alignment: the warp network behind the frozen flow network; and the matching features.

    Terms: ``l1``, the refined reference against the first view; ``matching``, the cross-entropy of identifying the
    right one of many visible pixels of the reference (InfoNCE, arXiv 1807.03748) by the matching features, for which
    the published system uses a pretrained network. Validated by the refined reference.
    """

    learns = ("warp_network", "match_image", "match_reference")
    points = 256
    temperature = 0.07

    def terms(self, net: Any, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the terms of the loss."""
        prepared, height, width = _prepared(net, batch)
        with torch.no_grad():
            flow = net.flow(prepared)
        _, refined = net.align(prepared, flow)
        terms = {"l1": F.l1_loss(refined[..., :height, :width].float(), batch["source_rgb"])}
        if self.options["losses"].get("matching"):
            terms["matching"] = self._matching(net, prepared, batch)
        elif "matching" in self.options["losses"]:
            terms["matching"] = torch.zeros(())
        return terms, {}

    def _matching(self, net: Any, prepared: AlignedInputs, batch: Batch) -> Tensor:
        a = net.match_image(prepared.image).conv3_1.float()
        b = net.match_reference(prepared.reference).conv3_1.float()
        grid = pixel_grid(batch["flow"].shape[2], batch["flow"].shape[3], batch["flow"])
        losses = []
        for n in range(len(a)):
            where = batch["visible"][n, 0].flatten().nonzero()[:, 0]
            if len(where) < 2:
                continue
            # numbers from the generator of the processor: the same on every device
            where = where[torch.randint(len(where), (min(self.points, len(where)),)).to(where.device)]
            p = grid[0].flatten(1)[:, where][None, :, None]
            q = p + batch["flow"][n].flatten(1)[:, where][None, :, None]
            # features of a quarter of the size have their centres at 4 i + 3/2
            features = [sample_at(x[n : n + 1], (c - 1.5) / 4, "border")[0, :, 0] for x, c in ((a, p), (b, q))]
            u, v = (F.normalize(x, dim=0) for x in features)
            logits = u.transpose(0, 1) @ v / self.temperature
            losses.append(F.cross_entropy(logits, torch.arange(len(where), device=logits.device)))
        return torch.stack(losses).mean() if losses else 0.0 * (a.mean() + b.mean())

    def compared(self, net: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the refined reference, and the reference camera's image from the first viewpoint."""
        return _reference(net, batch, refined=True), batch["source_rgb"]


class Guided(Aligned):
    """The whole network, supervised by the HR-HSI and the aligned reference.

    Terms: any of `finewave.nn.losses.LOSSES` between output and HR-HSI, and ``alignment``, the smooth l1
    between the refined reference and the pseudo-RGB of the HR-HSI in the colours of the reference.
    """

    def terms(self, net: Any, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the terms of the loss."""
        stages = net.forward_stages(batch["lr_hsi"], batch["ref_rgb"])
        expected = match_histograms(batch["hr_hsi"][:, net.rgb_bands], batch["ref_rgb"])
        terms = {"alignment": F.smooth_l1_loss(stages.refined.float(), expected)}
        for name in self.options["losses"]:
            if name in LOSSES:
                terms[name] = LOSSES[name](stages.hr_hsi, batch["hr_hsi"])
        return terms, {}


def _prepared(net: Any, batch: Batch) -> tuple[AlignedInputs, int, int]:
    prepared = net.prepare(batch["lr_hsi"], batch["ref_rgb"])
    return (prepared, *prepared.size)


def _reference(net: Any, batch: Batch, refined: bool) -> Tensor:
    """Return the reference, warped or also refined, at the size of the image."""
    prepared, height, width = _prepared(net, batch)
    images = net.align(prepared, net.flow(prepared))
    return images[int(refined)][..., :height, :width]
