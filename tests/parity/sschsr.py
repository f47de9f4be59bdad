"""What the SSC-HSR cases feed to a module, and where each of their outputs comes from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from finewave.datasets.synthetic_views import published_degradation
from finewave.nn.warping import backward_warp
from finewave.systems.reference import from_reference
from finewave.systems.sschsr.matching import best_patches, match
from finewave.systems.sschsr.raft import Correlation, convex_upsample
from tests.parity.rule_weights import rule_weights

Tensors = dict[str, Tensor]


def evaluate(config: dict[str, Any], parameters: Tensors, inputs: Tensors) -> Tensors:
    """Return every output of a case by its name."""
    name = config["module"]
    if name in _FUNCTIONS:
        return _FUNCTIONS[name](config, inputs)
    if "rule" in config.get("weights", ""):
        parameters = rule_weights(config["keys"])
    net: Any = from_reference("ssc-hsr", parameters, **config)
    if name == "HSIEncoder":
        levels = [inputs["x"], *net(inputs["x"])]
        return {f"level{i}": level for i, level in enumerate(levels)}
    if name == "WarpNet":
        return {"y": net(inputs["hsi_rgb"], inputs["ref"], inputs["ref_warp"])}
    if name == "IDFA deformable aggregation":
        offsets = inputs["pre_offset"].permute(0, 1, 4, 2, 3)
        return {"y": net(inputs["ref_feat"], inputs["offset_feat"], offsets, inputs["pre_sim"])}
    if name == "ReferenceGuidedCrossAttention":
        return {"y": net(inputs["x"], inputs["y"])}
    if name == "SelfCrossLayer":
        x, y = inputs["xy"].chunk(2, 1)
        return {"y": torch.cat((net(x, y), y), 1)}
    if name == "AttentionFusion":
        return {"y": net(inputs["hsi_feat"], inputs.get("prev"), inputs["ref_feat"])}
    if name == "SepConvGRU":
        return {"y": net(inputs["h"], inputs["x"])}
    if name == "RAFT basic":
        flows, coarse = net.forward_all(inputs["image1"] / 255, inputs["image2"] / 255)
        return {"flow_lr": coarse, "flow_up": flows[-1]}
    if name == "SSC-HSR decoder":
        encoded = [inputs[f"hsi_level{i}"] for i in (1, 2, 3)]
        reference = [inputs[f"ref_relu{i}_1"] for i in (1, 2, 3)]
        matches = match(inputs["match_feat_in"], inputs["match_feat_ref"])
        return {"y": inputs["hsi_level0"] + net(encoded, reference, matches)}
    return {"y": net(inputs["x"])}


def _correspondence(config: dict[str, Any], inputs: Tensors) -> Tensors:
    results = {}
    for level, found in zip((3, 2, 1), match(inputs["feat_in"], inputs["feat_ref"]), strict=True):
        results[f"flow_relu{level}_1"] = found.flow.permute(0, 2, 3, 1)
        results[f"offset_relu{level}_1"] = found.offsets.permute(0, 1, 3, 4, 2)
        results[f"sim_relu{level}_1"] = found.similarity
    return results


def _feature_match(config: dict[str, Any], inputs: Tensors) -> Tensors:
    index, value = best_patches(inputs["feat_in"][None], inputs["feat_ref"][None])
    return {"index": index[0].float(), "value": value[0]}


def _degradation(config: dict[str, Any], inputs: Tensors) -> Tensors:
    """The published blur and decimation: a kernel of even size, then the top left pixel of every cell."""
    hr, s, options = inputs["hr"][None], config["scale"], {"size": config["kernel"], "sigma": config["sigma"]}
    lr = published_degradation(hr, s, **options)
    point = torch.zeros(1, 1, 64, 64)
    point[..., 32, 32] = 1
    response = published_degradation(point, 1, **options)[0, 0]
    reach = config["kernel"] // 2
    kernel = response[32 - reach : 32 + reach, 32 - reach : 32 + reach].flip(0, 1)
    return {"kernel": kernel, "lr": lr[0], "lr_up": F.interpolate(lr, scale_factor=s, mode="bicubic")[0]}


_FUNCTIONS: dict[str, Any] = {
    "CorrespondenceMatching": _correspondence,
    "feature_match_index": _feature_match,
    "SSC-HSR degradation": _degradation,
    "RAFT CorrBlock": lambda c, x: {
        "y": Correlation(x["fmap1"], x["fmap2"], c["levels"], c["radius"]).lookup(x["coords"])
    },
    "RAFT convex upsampling": lambda c, x: {"y": convex_upsample(x["flow"], x["mask"])},
    "coarse image warp": lambda c, x: {"y": backward_warp(x["x"], x["flow"], grid="published")},
    "coarse image warp (recommended)": lambda c, x: {"y": backward_warp(x["x"], x["flow"])},
}
