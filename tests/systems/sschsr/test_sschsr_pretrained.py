"""Weights of others in parts of SSC-HSR, from files named as their owners name them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import finewave as fw
from finewave.errors import InputError
from finewave.systems.sschsr.pretrained import load_pretrained
from finewave.systems.sschsr.raft import RAFT

PLACES = {"conv1_1": 0, "conv1_2": 2, "conv2_1": 5, "conv2_2": 7, "conv3_1": 10}


@pytest.fixture
def net() -> Any:
    torch.manual_seed(0)
    return fw.create_model("ssc-hsr", features=8, flow_features=8, blocks=[1, 1, 1])


def other(part: torch.nn.Module) -> dict[str, Tensor]:
    return {key: torch.rand_like(value) for key, value in part.state_dict().items() if value.is_floating_point()}


def written(path: Path, weights: dict[str, Tensor]) -> Path:
    save_file(weights, path)
    return path


def torchvision_raft(key: str) -> str:
    """Name of a tensor in torchvision's ``raft_large``."""
    key = re.sub(r"_encoder\.conv1\.", "_encoder.convnormrelu.0.", key)
    key = re.sub(r"_encoder\.norm1\.", "_encoder.convnormrelu.1.", key)
    key = re.sub(r"_encoder\.conv2\.", "_encoder.conv.", key)
    key = re.sub(r"(layer\d\.\d)\.conv(\d)\.", r"\1.convnormrelu\2.0.", key)
    key = re.sub(r"(layer\d\.\d)\.norm(\d)\.", r"\1.convnormrelu\2.1.", key)
    key = re.sub(r"update\.encoder\.convc(\d)\.", r"update_block.motion_encoder.convcorr\1.0.", key)
    key = re.sub(r"update\.encoder\.convf(\d)\.", r"update_block.motion_encoder.convflow\1.0.", key)
    key = re.sub(r"update\.encoder\.conv\.", "update_block.motion_encoder.conv.0.", key)
    key = re.sub(r"update\.gru\.conv([zrq])(\d)\.", r"update_block.recurrent_block.convgru\2.conv\1.", key)
    key = re.sub(r"update\.flow_head\.", "update_block.flow_head.", key)
    key = re.sub(r"update\.mask\.0\.", "mask_predictor.convrelu.0.", key)
    return re.sub(r"update\.mask\.2\.", "mask_predictor.conv.", key)


def authors_raft(key: str) -> str:
    """Name of a tensor in the authors' RAFT, saved from a data-parallel wrapper."""
    key = key.replace("feature_encoder", "fnet").replace("context_encoder", "cnet").replace("update.", "update_block.")
    return f"module.{key}"


@pytest.mark.parametrize("name", [torchvision_raft, authors_raft])
def test_flow(net: Any, tmp_path: Path, name: Any) -> None:
    weights = other(net.flow_network)
    assert len({name(key) for key in weights}) == len(weights)
    load_pretrained(net, flow=written(tmp_path / "raft.safetensors", {name(k): v for k, v in weights.items()}))
    for key, value in weights.items():
        assert torch.equal(net.flow_network.state_dict()[key], value), key


def test_torchvision_names_are_those_that_it_has() -> None:
    """A sample from torchvision's published state dict, written down by hand."""
    named = {torchvision_raft(key) for key in RAFT(width=4).state_dict()}
    assert {
        "feature_encoder.convnormrelu.0.weight",
        "feature_encoder.layer2.0.convnormrelu1.0.weight",
        "feature_encoder.layer2.0.downsample.0.weight",
        "feature_encoder.conv.weight",
        "context_encoder.layer3.0.downsample.1.running_var",
        "update_block.motion_encoder.convcorr1.0.weight",
        "update_block.motion_encoder.conv.0.bias",
        "update_block.recurrent_block.convgru2.convq.weight",
        "update_block.flow_head.conv2.weight",
        "mask_predictor.convrelu.0.weight",
        "mask_predictor.conv.weight",
    } <= named


def test_reference_features(net: Any, tmp_path: Path) -> None:
    weights = other(net.reference_features)
    named = {f"features.{PLACES[key[:7]]}{key[7:]}": value for key, value in weights.items()}
    beyond = {
        "features.12.weight": torch.rand(2, 2),
        "features.34.bias": torch.rand(2),
        "classifier.0.bias": torch.rand(2),
    }
    load_pretrained(net, reference=written(tmp_path / "vgg19.safetensors", {**named, **beyond}))
    for key, value in weights.items():
        assert torch.equal(net.reference_features.state_dict()[key], value), key


def test_matching_features_are_a_pair_or_one_for_both(net: Any, tmp_path: Path) -> None:
    a, b = other(net.match_image), other(net.match_reference)
    pair = {f"feature_extraction_image1.model.{key}": value for key, value in a.items()}
    pair |= {f"feature_extraction_image2.model.{key}": value for key, value in b.items()}
    pair["feature_extraction_image1.mean"] = torch.rand(1, 3, 1, 1)
    load_pretrained(net, matching=written(tmp_path / "pair.safetensors", pair))
    assert torch.equal(net.match_image.conv2_1.weight, a["conv2_1.weight"])
    assert torch.equal(net.match_reference.conv2_1.weight, b["conv2_1.weight"])
    one = {f"features.{PLACES[key[:7]]}{key[7:]}": value for key, value in a.items()}
    load_pretrained(net, matching=written(tmp_path / "one.safetensors", one))
    assert torch.equal(net.match_reference.conv3_1.bias, a["conv3_1.bias"])


def test_what_does_not_fit_is_named(net: Any, tmp_path: Path) -> None:
    wide = {f"features.{i}.{kind}": torch.rand(64) for i in PLACES.values() for kind in ("weight", "bias")}
    with pytest.raises(InputError, match=r"vgg19.*shape"):
        load_pretrained(net, reference=written(tmp_path / "vgg19.safetensors", wide))
    with pytest.raises(InputError, match="missing"):
        load_pretrained(net, flow=tmp_path / "nowhere.safetensors")
    with pytest.raises(InputError, match="ssc-hsr"):
        load_pretrained(torch.nn.Linear(1, 1), flow=None)
