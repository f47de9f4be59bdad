"""Training phases of SSC-HSR (arXiv 2505.02109): flow, then the warp network, then the fusion.

The first two learn from synthetic pairs of views (`finewave.datasets.synthetic_views`), the third from low-resolution
images with a reference. Each is a `SupervisedPhase`; what the recipe says beyond that:

- ``freeze``: attributes of the network that do not learn in this phase;
- ``pretrained``: files for `finewave.systems.sschsr.pretrained.load_pretrained`, loaded when the phase begins.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.datasets.patches import Sample
from finewave.errors import InputError, unknown_name
from finewave.nn.warping import pixel_grid, sample_at
from finewave.systems.sschsr.histogram import match_histograms
from finewave.systems.sschsr.network import SSCHSR, Prepared
from finewave.systems.sschsr.pretrained import load_pretrained
from finewave.systems.sschsr.raft import sequence_loss
from finewave.training.image_losses import LOSSES
from finewave.training.progress import RunClock
from finewave.training.supervised import SupervisedPhase

NEEDED = ("ref_rgb", "source_rgb", "flow", "visible")


class AlignedPhase(SupervisedPhase):
    """What the three phases share: pretrained parts, frozen parts, the sum of weighted terms."""

    learns: tuple[str, ...] = ()  # attributes of the network; none: all

    def __init__(self, net: nn.Module, config: dict[str, Any], clock: RunClock, scale: int) -> None:
        if not isinstance(net, SSCHSR):
            raise InputError(f"phases of kind {config['kind']!r} are for ssc-hsr; the recipe's network is another")
        load_pretrained(net, **(config.get("pretrained") or {}))
        parts = [name for name, _ in net.named_children()]
        net.requires_grad_(not self.learns)
        for name in self.learns:
            getattr(net, name).requires_grad_(True)
        for name in config.get("freeze") or ():
            if name not in parts:
                raise unknown_name("part of ssc-hsr to freeze", name, parts)
            getattr(net, name).requires_grad_(False)
        super().__init__(net, {**config, "part": None}, clock, scale)
        net.train()  # anew: what is frozen now stays in evaluation mode, see `RAFT`

    def terms(self, batch: Sample) -> dict[str, Tensor]:
        """Return the unweighted terms of the loss by name."""
        raise NotImplementedError  # each of the three phases has terms of its own

    def training_step(self, batch: Sample, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        missing = [name for name in NEEDED if name not in batch]
        if missing:
            raise InputError(f"phases of ssc-hsr need a recipe with data.reference: batches have no {missing[0]}")
        terms = self.terms(batch)
        loss = torch.zeros((), device=self.device)
        for name, weight in self.config["losses"].items():
            if name not in terms:
                raise unknown_name("loss", name, terms)
            if weight:
                loss = loss + weight * terms[name]
                self.log(f"loss_{name}", terms[name].detach())
        self.log("loss", loss.detach(), prog_bar=True)
        return loss


class FlowPhase(AlignedPhase):
    """First stage of the alignment: RAFT on the pseudo-RGB of the LR-HSI and the reference, with the exact flow.

    Terms: ``sequence``, eq. (7) of arXiv 2003.12039 on visible pixels. Validated by the warped reference.
    """

    learns = ("flow_network",)

    def terms(self, batch: Sample) -> dict[str, Tensor]:
        """Return the terms of the loss."""
        prepared, height, width = _prepared(self.net, batch)
        flows, _ = self.net.flow_network.forward_all(prepared.image, prepared.reference)
        flows = [flow[..., :height, :width] for flow in flows]
        seen = batch["visible"] > 0
        error = (flows[-1] - batch["flow"]).norm(dim=1, keepdim=True)[seen]
        self.log("end_point_error", error.detach().mean())
        return {"sequence": sequence_loss(flows, batch["flow"], batch["visible"])}

    def validation_step(self, batch: Sample, batch_idx: int) -> None:
        """Compare the warped reference with what the reference's camera would see from the first viewpoint."""
        _validate_image(self, batch, refined=False)


class WarpPhase(AlignedPhase):
    """Second stage of the alignment: the warp network behind the frozen flow network; and the matching features.

    Terms: ``l1``, the refined reference against the first view; ``matching``, the cross-entropy of finding the right
    one of many visible pixels of the reference (InfoNCE, arXiv 1807.03748) by the features that the matching compares,
    which the published system takes from a network trained elsewhere. Validated by the refined reference.
    """

    learns = ("warp_network", "match_image", "match_reference")
    points = 256
    temperature = 0.07

    def terms(self, batch: Sample) -> dict[str, Tensor]:
        """Return the terms of the loss."""
        prepared, height, width = _prepared(self.net, batch)
        with torch.no_grad():
            flow = self.net.flow(prepared)
        _, refined = self.net.align(prepared, flow)
        terms = {"l1": F.l1_loss(refined[..., :height, :width].float(), batch["source_rgb"])}
        if self.config["losses"].get("matching"):
            terms["matching"] = self._matching(prepared, batch)
        return terms

    def _matching(self, prepared: Prepared, batch: Sample) -> Tensor:
        a = self.net.match_image(prepared.image).conv3_1.float()
        b = self.net.match_reference(prepared.reference).conv3_1.float()
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
            found = [sample_at(x[n : n + 1], (c - 1.5) / 4, "border")[0, :, 0] for x, c in ((a, p), (b, q))]
            u, v = (F.normalize(x, dim=0) for x in found)
            logits = u.transpose(0, 1) @ v / self.temperature
            losses.append(F.cross_entropy(logits, torch.arange(len(where), device=logits.device)))
        return torch.stack(losses).mean() if losses else 0.0 * (a.mean() + b.mean())

    def validation_step(self, batch: Sample, batch_idx: int) -> None:
        """Compare the refined reference with what the reference's camera would see from the first viewpoint."""
        _validate_image(self, batch, refined=True)


class GuidedPhase(AlignedPhase):
    """The whole network, with the aligned reference beside the HR-HSI.

    Terms: any of `finewave.training.image_losses.LOSSES` between output and HR-HSI, and ``alignment``, the smooth l1
    between the refined reference and the pseudo-RGB of the HR-HSI in the colours of the reference.
    """

    def terms(self, batch: Sample) -> dict[str, Tensor]:
        """Return the terms of the loss."""
        stages = self.net.forward_stages(batch["lr_hsi"], batch["ref_rgb"])
        wanted = match_histograms(batch["hr_hsi"][:, self.net.rgb_bands], batch["ref_rgb"])
        terms = {"alignment": F.smooth_l1_loss(stages.refined.float(), wanted)}
        for name in self.config["losses"]:
            if name in LOSSES:
                terms[name] = LOSSES[name](stages.hr_hsi, batch["hr_hsi"])
        return terms


def _prepared(net: Any, batch: Sample) -> tuple[Prepared, int, int]:
    prepared = net.prepare(batch["lr_hsi"], batch["ref_rgb"])
    return (prepared, *prepared.size)


def _validate_image(phase: AlignedPhase, batch: Sample, refined: bool) -> None:
    assert phase.accumulator is not None
    net: Any = phase.averaged
    prepared, height, width = _prepared(net, batch)
    images = net.align(prepared, net.flow(prepared))
    image = images[int(refined)][..., :height, :width].float()
    phase.accumulator.update(image, batch["source_rgb"])
