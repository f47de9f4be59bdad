"""Weights that public code saved, of whole networks among the reference cases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from finewave.systems.reference import from_reference

Case = tuple[dict[str, Any], dict[str, Tensor]]


def read_case(path: Path) -> Case:
    """Return configuration and tensors of a case."""
    with safe_open(path, "pt") as file:
        names = file.keys()  # the file is no mapping
        return json.loads(file.metadata()["config"]), {name: file.get_tensor(name) for name in names}


def weights_of(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights among the tensors of a case, by their public names."""
    return {key.removeprefix("param."): value for key, value in tensors.items() if key.startswith("param.")}


def check_checkpoints(system: str, tensors: Mapping[str, Tensor]) -> None:
    """Check that weights alone, of several devices and as whole checkpoints make the network, without configuration."""
    weights = weights_of(tensors)
    parallel = {f"module.{key}": value for key, value in weights.items()}
    for checkpoint in (weights, parallel, {"epoch": 3, "iter": 9, "state_dict": parallel, "optimizer": {}}):
        net = from_reference(system, checkpoint)
        with torch.no_grad():
            output = net(tensors["input.x"])
        torch.testing.assert_close(output, tensors["output.y"], rtol=1e-4, atol=1e-5)
