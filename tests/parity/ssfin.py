"""What the SSFIN cases feed to a module, and where each of their outputs comes from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from finewave.systems.reference import from_reference
from finewave.systems.ssfin.network import auxiliary_weight

Tensors = dict[str, Tensor]


def evaluate(config: dict[str, Any], parameters: Tensors, inputs: Tensors) -> Tensors:
    """Return every output of a case by its name."""
    name = config["module"]
    if name.startswith("auxiliary-loss weight"):
        assert config["alpha0"] == auxiliary_weight(1)
        return {"alpha": torch.tensor([auxiliary_weight(int(epoch)) for epoch in inputs["epoch"]])}
    net = from_reference("ssfin", parameters, **config)
    if name == "SpatialSpectralSRNet":
        outputs = net.forward_tasks(inputs["x"])
        assert torch.equal(net(inputs["x"]), outputs.hr_hsi)
        return {"hr_hs": outputs.hr_hsi, "hr_ms": outputs.hr_msi, "lr_hs": outputs.lr_hsi}
    if name.startswith("FusionBlock"):
        earlier = [inputs[key] for key in sorted(inputs) if key.startswith("previous.")]
        fused, spatial, spectral = net(earlier, inputs["spatial"], inputs["spectral"])
        return {"fused": fused, "spatial": spatial, "spectral": spectral}
    return {"y": net(inputs["x"])}
