"""What the MulSR cases feed to a module, and where each of their outputs comes from."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from finewave.physics.anisotropic import anisotropic_gaussian, blur
from finewave.physics.degradation import degrade
from finewave.systems.reference import from_reference
from tests.parity.rule_weights import rule_weights

Tensors = dict[str, Tensor]


def evaluate(config: dict[str, Any], parameters: Tensors, inputs: Tensors) -> Tensors:
    """Return every output of a case by its name."""
    name = config["module"]
    if name.startswith("test degradation"):
        return _degraded(config, inputs["hr"])
    if "keys" in config:
        parameters = rule_weights(config["keys"], float(config["weights"].partition("gain ")[2]))
    net = from_reference("mulsr", parameters, **config)
    if name == "MulSR":
        bands = net.forward_bands(inputs["hsi3"], inputs["rgb"])
        return {"y": bands.full, "half_scale_feature": bands.difference}
    if name == "RDE":
        hsi, rgb = net(inputs["hsi"], inputs["rgb"])
        return {"hsi": hsi, "rgb": rgb}
    if name == "CrossFusion":
        return {"y": net(inputs["hsi"], inputs["rgb"])}
    return {"y": net(inputs["x"])}


def _degraded(config: dict[str, Any], hr: Tensor) -> Tensors:
    """The published test degradation, whose kernel is off the centre of the LR pixels."""
    assert config["theta"] == "pi/2"
    size, scale = config["kernel_size"], config["scale"]
    variances = (config["lambda_1"], config["lambda_2"])
    kernel = anisotropic_gaussian(size, variances, math.pi / 2, shift=(scale - 1) / 2)
    lr = degrade(
        hr, scale, kernel="anisotropic-gaussian", size=size, variances=variances, angle=math.pi / 2, centred=False
    )
    return {"kernel": kernel.float(), "blurred": blur(hr, kernel), "lr_noise_free": lr}
