"""What the Fusformer cases feed to a module, and where each of their outputs comes from."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from finewave.systems.reference import from_reference

Tensors = dict[str, Tensor]


def evaluate(config: dict[str, Any], parameters: Tensors, inputs: Tensors) -> Tensors:
    """Return every output of a case by its name."""
    net = from_reference("fusformer", parameters, **config)
    if config["module"] == "MainNet":
        output, upsampled, residual = net.forward_parts(inputs["lr_hs"], inputs["hr_ms"])
        return {"y": output, "upsampled": upsampled, "residual": residual}
    return {"y": net(inputs["x"])}
