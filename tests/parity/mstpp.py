"""What the MST++ cases feed to a module."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from finewave.metrics import psnr, rmse
from finewave.nn.losses import mrae
from finewave.systems.reference import from_reference

Tensors = dict[str, Tensor]


def evaluate(config: dict[str, Any], parameters: Tensors, inputs: Tensors) -> Tensors:
    """Return every output of a case by its name."""
    if config["module"].startswith("MRAE"):
        return _losses(inputs["pred"], inputs["target"], inputs["target_with_zeros"])
    known = {key: value for key, value in config.items() if key != "note"}
    return {"y": from_reference("mst++", parameters, **known)(inputs["x"])}


def _losses(pred: Tensor, target: Tensor, target_with_zeros: Tensor) -> Tensors:
    """Loss and validation figures: RMSE over the batch, PSNR of clipped images, all bands together, mean of images."""
    one_image = (pred.transpose(0, 1).flatten(1, 2), target.transpose(0, 1).flatten(1, 2))
    clipped = zip(pred.clamp(0, 1), target.clamp(0, 1), strict=True)
    return {
        "mrae": mrae(pred, target).view(1),
        "mrae_custom": mrae(pred, target_with_zeros, darkest=1e-8).view(1),
        "rmse": torch.tensor([rmse(*one_image)]),
        "psnr": torch.tensor([sum(psnr(p, t) for p, t in clipped) / len(pred)]),
    }
