"""What the SSPSR cases feed to a module, and where each of their outputs comes from."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from finewave.nn.losses import l1
from finewave.physics.degradation import degrade
from finewave.systems.reference import from_reference
from finewave.systems.sspsr.matlab_bicubic import matlab_enlarge
from finewave.systems.sspsr.network import spatial_tv, spectral_tv

Tensors = dict[str, Tensor]


def evaluate(config: dict[str, Any], parameters: Tensors, inputs: Tensors) -> Tensors:
    """Return every output of a case by its name."""
    name = config["module"]
    if name == "HybridLoss":
        return _loss(config["weight"], inputs)
    if name.startswith("MATLAB-style bicubic"):
        lr = degrade(inputs["hr"], config["scale"], kernel="bicubic")
        return {"lr": lr, "lr_up": matlab_enlarge(lr[None], config["scale"])[0]}
    net = from_reference("sspsr", parameters, **config)
    if name == "SSPSR":
        size = net.group_size
        assert net.groups == config["group_start"]
        assert [first + size for first in net.groups] == config["group_end"]
        return {"y": net.refine(inputs["x"], inputs["x_up"])}
    return {"y": net(inputs["x"])}


def _loss(weight: float, inputs: Tensors) -> Tensors:
    y = inputs["y"]
    terms = {
        "l1": l1(y, inputs["gt"]),
        "spatial_tv": weight * spatial_tv(y),
        "spectral_tv": weight * spectral_tv(y),
    }
    return {name: value.view(1) for name, value in {**terms, "total": sum(terms.values())}.items()}
