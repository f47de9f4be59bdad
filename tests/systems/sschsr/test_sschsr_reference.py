"""Weights with the public code's names; the parity cases hold the values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

import finewave as fw
from finewave.errors import InputError

VGG = {"conv1_1": (64, 3), "conv1_2": (64, 64), "conv2_1": (128, 64), "conv2_2": (128, 128), "conv3_1": (256, 128)}


@pytest.fixture(scope="module")
def public(shared_cases: Path) -> dict[str, Tensor]:
    """Return a state dict as the public code's training saves it, keys and shapes taken from the reference cases."""
    shapes: dict[str, Any] = {}
    for case, prefix in (("raft_full_rule_iters3", "flownet"), ("decoder_full_rule", "decoder")):
        with safe_open(shared_cases / "sschsr" / f"{case}.safetensors", "pt") as file:
            shapes |= {f"{prefix}.{key}": shape for key, shape in json.loads(file.metadata()["config"])["keys"]}
    with safe_open(shared_cases / "sschsr" / "warpnet_dim16.safetensors", "pt") as file:
        for key in file.keys():  # noqa: SIM118  (not a mapping)
            if key.startswith("param."):
                shapes[f"warpnet.{key.removeprefix('param.')}"] = file.get_slice(key).get_shape()
    for i, (a, b) in enumerate(((31, 64), (64, 128), (128, 256)), 1):
        shapes[f"hsi_encoder.pool{i}.weight"] = (b, b, 5, 5)
        parts = {"block.0": (b, a, 3, 3), "block.2": (b, b, 3, 3), "conv11": (b, a, 1, 1)}
        shapes |= {f"hsi_encoder.ConvBlock{i}.{name}.weight": shape for name, shape in parts.items()}
        shapes |= {f"hsi_encoder.ConvBlock{i}.{name}.bias": (b,) for name in parts} | {
            f"hsi_encoder.pool{i}.bias": (b,)
        }
    extractors = [f"rgb_extractor.feature_extraction_image{i}.model" for i in (1, 2)]
    for prefix in (*extractors, "similar.vgg.vgg_net"):
        shapes |= {f"{prefix}.{name}.weight": (*shape, 3, 3) for name, shape in VGG.items()}
        shapes |= {f"{prefix}.{name}.bias": shape[:1] for name, shape in VGG.items()}
    for prefix in ("rgb_extractor.feature_extraction_image1", "rgb_extractor.feature_extraction_image2", "similar.vgg"):
        shapes |= {f"{prefix}.{name}": (1, 3, 1, 1) for name in ("mean", "std")}
    random = torch.Generator().manual_seed(0)
    return {key: 0.02 * torch.rand(*shape, generator=random) for key, shape in shapes.items()}


@pytest.mark.parity
def test_the_whole_network_takes_its_place(public: dict[str, Tensor]) -> None:
    net: Any = fw.from_reference("ssc-hsr", public, scale=4, iters=2)
    assert sum(p.numel() for p in net.parameters()) == 27450743
    assert (net.scale, net.flow_grid, net.decoder.match_anchor) == (4, "published", "corner")
    assert net.config["blocks"] == [4, 3, 2]
    assert net.config["heads"] == [8, 4, 1]
    pairs = {
        "flownet.cnet.layer2.0.norm3.running_var": net.flow_network.context_encoder.layer2[0].downsample[1].running_var,
        "warpnet.block.upv5.weight": net.warp_network.up1.weight,
        "hsi_encoder.ConvBlock3.block.2.weight": net.hsi_encoder.blocks[2].conv2.weight,
        "hsi_encoder.pool2.bias": net.hsi_encoder.convs[1].bias,
        "rgb_extractor.feature_extraction_image2.model.conv2_2.bias": net.match_reference.conv2_2.bias,
        "similar.vgg.vgg_net.conv3_1.weight": net.reference_features.conv3_1.weight,
        "decoder.up_large_offset_conv2.weight": net.decoder.aggregation[2].conv2.weight,
        "decoder.res2.body.1.cattn.norm2.body.bias": net.decoder.fusion[1].blocks[1].reference_norm.bias,
    }
    for key, value in pairs.items():
        assert torch.equal(public[key], value), key
    with torch.no_grad():
        assert net(torch.rand(1, 31, 5, 4), torch.rand(1, 3, 20, 16)).shape == (1, 31, 20, 16)


@pytest.mark.parity
def test_what_does_not_fit_is_named(public: dict[str, Tensor]) -> None:
    with pytest.raises(InputError, match=r"decoder\.res9"):
        fw.from_reference("ssc-hsr", {**public, "decoder.res9.weight": torch.zeros(1)})
    short = {key: value for key, value in public.items() if key != "warpnet.block.conv6.bias"}
    with pytest.raises(InputError, match=r"warp_network\.out\.bias"):
        fw.from_reference("ssc-hsr", short)
    with pytest.raises(InputError, match="scael"):
        fw.from_reference("ssc-hsr", public, scael=4)
    with pytest.raises(InputError, match="SSC-HSR"):
        fw.from_reference("ssc-hsr", {"a": torch.zeros(1)})
    with pytest.raises(InputError, match="WarpNet"):
        fw.from_reference("ssc-hsr", {}, module="WrapNet")
    with pytest.raises(InputError, match="dim"):
        fw.from_reference("ssc-hsr", {}, module="WarpNet")
