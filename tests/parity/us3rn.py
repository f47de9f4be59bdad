"""What the US3RN cases feed to a module, and where each of their outputs comes from."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from finewave.nn.losses import l1
from finewave.physics.degradation import degrade
from finewave.systems.reference import from_reference
from finewave.systems.us3rn.network import US3RN, Estimates

Tensors = dict[str, Tensor]


def evaluate(config: dict[str, Any], parameters: Tensors, inputs: Tensors) -> Tensors:
    """Return every output of a case by its name."""
    name = config["module"]
    if name == "training loss":
        return _loss(config["alpha"], config["stages"], inputs)
    if name.startswith("bicubic reduction"):
        return {"lr": degrade(inputs["hr"], config["scale"], kernel="bicubic-no-antialias")}
    net = from_reference("us3rn", parameters, **config)
    if name == "S3RNet":
        output, estimates = net.forward_stages(inputs["w"])
        stages = {f"stage_{part}.{i}": getattr(e, part) for i, e in enumerate(estimates) for part in "xyz"}
        return {"x": output, "y": estimates[-1].y, "z": estimates[-1].z, **stages}
    if name == "InSSSRBlock":
        return net(inputs["w"])._asdict()
    if name in ("MidSSSRBlock", "OutSSSRBlock"):
        x, u, v = (inputs[part] for part in "xuv")
        return net(inputs["w"], Estimates(x, u, v, u, v))._asdict()  # y and z of the block before are not read
    if name.startswith("NonLocal2D"):
        return _nonlocal(net, inputs["x"])
    return {"y": net(inputs["x"])}


def _nonlocal(net: nn.Module, x: Tensor) -> Tensors:
    y_eval = net(x)
    y_train = net.train()(x)
    return {
        "y_eval": y_eval,
        "y_train": y_train,
        "running_mean_after": net.norm.running_mean,
        "running_var_after": net.norm.running_var,
    }


class _Given(US3RN):
    """The loss of the network, with output and estimates that a case has."""

    def __init__(self, output: Tensor, estimates: list[Estimates]) -> None:
        super().__init__()
        self.given = output, estimates

    def forward_stages(self, lr_msi: Tensor) -> tuple[Tensor, list[Estimates]]:
        return self.given


def _loss(alpha: float, stages: int, inputs: Tensors) -> Tensors:
    parts = [[inputs[f"stage_{part}.{i}"] for part in "xyz"] for i in range(stages)]
    estimates = [Estimates(x, y, z, y, z) for x, y, z in parts]
    batch = {"lr_msi": inputs["Y"], "hr_hsi": inputs["X"], "hr_msi": inputs["Y"], "lr_hsi": inputs["Z"]}
    output, terms = _Given(inputs["pred_x"], estimates).training_loss(batch, 0.0)
    weights = {"hr_msi": alpha, "lr_hsi": alpha, "stages": alpha / 2}
    loss = l1(output, batch["hr_hsi"]) + sum(weights[name] * terms[name] for name in weights)
    return {"loss": loss.view(1)}
