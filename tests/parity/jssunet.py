"""What the JSSUNet cases feed to a module, and where each of their outputs comes from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from finewave.nn.kernels.window_attention_ops import attention
from finewave.nn.losses import l1
from finewave.systems.jssunet.clusters import one_hot_of
from finewave.systems.jssunet.loss import StageWeights, phase1_loss
from finewave.systems.reference import from_reference

Tensors = dict[str, Tensor]


def evaluate(config: dict[str, Any], parameters: Tensors, inputs: Tensors) -> Tensors:
    """Return every output of a case by its name."""
    name = config["module"]
    if name == "Phase1Loss":
        return _loss(config, inputs)
    net = from_reference("jssunet", parameters, **config)
    if name in ("SpecUp", "SpecDown"):
        labels = inputs["clusters"].long()[:, 0]
        return {"y": net(inputs["x"], one_hot_of(labels, config["classes"], torch.float32))}
    if name == "HeadAttention":
        return _head(net, inputs["x"])
    if name == "HFI":
        return {"y": net(inputs["u_lf_sr"], inputs["u_sr"], inputs["u_ssr_up"])}
    if name == "ProxFus":
        return {"y": net(inputs["u"], inputs["ms"])}
    if name == "SRModule":
        return _numbered("u", net(inputs["f"]))
    if name == "SSRModule":
        initial, estimates, assignment, _ = net(inputs["f"])
        return {
            "clusters": assignment.argmax(1, keepdim=True).float(),
            **_numbered("u", [initial, *estimates]),
        }
    if name == "FusModule":
        a, b, z, initial = net.prepare(inputs["u_sr"], inputs["u_ssr"])
        estimates = net(inputs["u_sr"], inputs["u_ssr"])
        return {"ms_lf": a, "hs_lf": b, **_numbered("list", [z, initial, *estimates])}
    if name == "JSSUNet":
        stages = net.forward_stages(inputs["f"])
        return {
            "clusters": stages.assignment.argmax(1, keepdim=True).float(),
            "ms_last": stages.sr[-1],
            "hs_last": stages.ssr[-1],
            "pred_phase1": stages.fusion[-1],
            "pred_post": net(inputs["f"]),
        }
    return {"y": net(inputs["x"])}


def _numbered(name: str, tensors: list[Tensor]) -> Tensors:
    return {f"{name}.{i}": tensor for i, tensor in enumerate(tensors)}


def _head(net: Any, x: Tensor) -> Tensors:
    """The head's output, and its embedding and kept weights, which it does not return."""
    embedding = net.embed(x)
    maps = [
        image.permute(0, 2, 3, 1).contiguous() for image in (net.phi(embedding), net.theta(embedding), net.value(x))
    ]
    _, _, weights = attention(*maps, net.window, net.k, True)
    return {"y": net(x), "embedding": embedding, "weights": weights.sort(-1, descending=True).values}


def _loss(config: dict[str, Any], inputs: Tensors) -> Tensors:
    """The paper's loss, and the public code's from the same ingredients (specified departures, see the docs)."""

    def items(name: str) -> list[Tensor]:
        return [inputs[f"{name}.{i}"] for i in range(len([k for k in inputs if k.startswith(f"{name}.")]))]

    sr, ssr, listed, prediction = items("ms_list"), items("hs_list"), items("fused_list"), inputs["pred"]
    hr_msi, lr_hsi, hr_hsi, K = inputs["F"], inputs["g"], inputs["G"], config["stages"]
    weights = StageWeights(config["alpha_sr"], config["alpha_ssr"], config["alpha_fus"])
    # lists as the public code builds them: the SSR list begins with u^0, the fusion list with z and u^0 and lacks u^K
    total, _ = phase1_loss(sr, ssr[1:], [*listed[2:], prediction], hr_msi, lr_hsi, hr_hsi, weights)
    l1_sr, l1_ssr = [l1(u, hr_msi) for u in sr], [l1(u, lr_hsi) for u in ssr]
    l1_fus, output = [l1(u, hr_hsi) for u in listed], l1(prediction, hr_hsi)

    def combined(sr_term: Tensor, ssr_term: Tensor, fusion_term: Tensor) -> Tensor:
        return output + weights.sr * sr_term + weights.ssr * ssr_term + weights.fusion * fusion_term

    means = [torch.stack(terms).mean() for terms in (l1_sr, l1_ssr, l1_fus)]
    return {
        "total_paper": total.view(1),
        # its SSR term is only the last but two of the list, over K + 1: the loop assigns where it should add
        "total_public_code": combined(means[0], l1_ssr[K - 2] / (K + 1), means[2]).view(1),
        "total_public_lists_mean": combined(*means).view(1),
        "l1_sr": torch.stack(l1_sr),
        "l1_ssr": torch.stack(l1_ssr),
        "l1_fus": torch.stack(l1_fus),
        "l1_pred": output.view(1),
    }
