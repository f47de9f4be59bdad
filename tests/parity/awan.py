"""What the AWAN cases feed to a module, and where each of their outputs comes from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from finewave.nn.losses import mrae
from finewave.systems.awan.network import camera_discrepancy
from finewave.systems.reference import from_reference
from finewave.training.schedules import learning_rate_factor

Tensors = dict[str, Tensor]


def evaluate(config: dict[str, Any], parameters: Tensors, inputs: Tensors) -> Tensors:
    """Return every output of a case by its name."""
    name = config["module"]
    if name == "training loss, clean track":
        return _loss(config["trade_off"], inputs)
    if name == "polynomial learning rate":
        rates = [
            config["init_lr"]
            * learning_rate_factor("polynomial", iteration / config["max_iter"], 0, 0, power=config["power"])
            for iteration in inputs["iteration"].tolist()
        ]
        return {"lr": torch.tensor(rates)}
    net = from_reference("awan", parameters, **{key: value for key, value in config.items() if key != "note"})
    if name == "DRAB":
        y, r = net(inputs["x"], inputs["res"])
        return {"y": y, "res_out": r}
    if name == "PSNL":
        return {"y": net(inputs["x"]), "non_local_whole": net.non_local(inputs["x"])}
    return {"y": net(inputs["x"])}


def _loss(trade_off: float, inputs: Tensors) -> Tensors:
    """The terms of the training loss; the public code's response sums to 255."""
    relative = mrae(inputs["pred"], inputs["target"])
    camera = (inputs["pred"], inputs["rgb"], inputs["filters"] / 255)
    quantised = camera_discrepancy(*camera, levels=255)
    return {
        "mrae": relative.view(1),
        "rgb_l1": quantised.view(1),
        "rgb_l1_unquantised": camera_discrepancy(*camera).view(1),
        "total": (relative + trade_off * quantised).view(1),
    }
