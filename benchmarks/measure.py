"""One measurement in this process: ``python -m benchmarks.measure CASE``, JSON in, JSON out."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.cases import STANDARD, Case
from benchmarks.meter import (
    PeakMemory,
    arithmetic,
    operator_seconds,
    seconds_of,
    stage_seconds,
    timed,
)
from benchmarks.plain import plain_module, plain_network
from benchmarks.scene_run import measure_scene
from finewave.datasets.patches import Crops, DegradedScene, Sample
from finewave.nn.kernels.window_attention import HeadAttention
from finewave.nn.losses import l1
from finewave.process.allocator import keep_freed_memory
from finewave.systems.jssunet.loss import StageWeights, phase1_loss
from finewave.systems.registry import SYSTEMS, create_model
from finewave.training.activation_checkpointing import compiling, recomputing
from finewave.zoo.flops import flops_of
from finewave.zoo.model import load_model, prefers_channels_last
from finewave.zoo.precision import training_precision

Result = dict[str, Any]
WEIGHTS = StageWeights(2.0, 1.0, 0.5)  # the first row of the published schedule: every term at work


def measure(case: Case) -> Result:
    """Return the figures of one case."""
    if case.options.get("keeps_memory"):
        keep_freed_memory()
    torch.manual_seed(0)
    device = torch.device(case.options["device"])
    if case.precision == "best":
        mixed = training_precision(device) == "bf16-mixed"
        case = Case(case.group, case.variant, "bfloat16" if mixed else "float32", case.options)
    return {"precision": case.precision, **_MEASUREMENTS[case.group](case, device)}


# --- What the machine can do --------------------------------------------------------------------------------------


def _peak(case: Case, device: torch.device) -> Result:
    side, pixels, features = (case.options[key] for key in ("side", "pixels", "features"))
    result: Result = {}
    with torch.no_grad():
        for dtype in (torch.float32, torch.bfloat16):
            name = str(dtype).removeprefix("torch.")
            a, b = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
            seconds = timed(partial(torch.matmul, a, b), device)["least_seconds"]
            result[f"matrix_{name}"] = 2 * side**3 / seconds
            layer = nn.Conv2d(features, features, 3, padding=1, bias=False).to(device, dtype)
            layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's overloads
            x = torch.rand(1, features, pixels, pixels, device=device).to(dtype)
            x = x.contiguous(memory_format=torch.channels_last)
            seconds = timed(partial(layer, x), device)["least_seconds"]
            result[f"convolution_{name}"] = 2 * 9 * features**2 * pixels**2 / seconds
    return {"flops_per_second": result}


# --- Parts of the network -----------------------------------------------------------------------------------------


def _head(case: Case, device: torch.device) -> Result:
    bands = case.options["hs_bands"]
    options = {"embedding": 8, "patch": case.options["patch"], "window": 11, "top_percent": 10}
    head: Any = HeadAttention(bands, **options)
    if case.variant == "plain":
        plain = plain_module().Head(bands, **options)
        plain.load_state_dict(head.state_dict())
        head = plain
    x = _layout(torch.rand(1, bands, *case.options["size"]), case.variant)
    return _forward_figures(head.to(device).eval(), {"x": x.to(device)}, case, device)


def _post(case: Case, device: torch.device) -> Result:
    config = {"stages": 1, **case.options["config"], "hs_bands": case.options["hs_bands"]}
    net: Any = create_model(STANDARD, **config).eval()
    post = (plain_network(net) if case.variant == "plain" else net.to(memory_format=torch.channels_last)).post
    x = _layout(torch.rand(1, case.options["hs_bands"], *case.options["size"]), case.variant)
    return _forward_figures(post.to(device), {"u": x.to(device)}, case, device, once=True)


def _forward_figures(
    module: Any,
    inputs: dict[str, Tensor],
    case: Case,
    device: torch.device,
    *,
    scale: int = 1,
    size_multiple: int = 1,
    once: bool = False,
) -> Result:
    def work() -> None:
        with torch.no_grad(), arithmetic(case.precision, device):
            module(**inputs)

    _settle(module, inputs, case, device, scale, 4 * size_multiple)
    memory = PeakMemory(device)
    figures = timed(work, device, once=once)
    return {**figures, "peak_bytes": memory.bytes()}


def _settle(module: Any, inputs: dict[str, Tensor], case: Case, device: torch.device, scale: int, side: int) -> None:
    """Run once on few pixels: what is loaded or compiled on first use is not a part of the measurement."""
    corners = {name: x[..., : side * scale, : side * scale] for name, x in inputs.items()}
    corners |= {name: x[..., :side, :side] for name, x in inputs.items() if name.startswith("lr_")}
    with torch.no_grad(), arithmetic(case.precision, device):
        module(**corners)


# --- The network --------------------------------------------------------------------------------------------------


def _network(case: Case, device: torch.device) -> Any:
    name, config = case.options["network"], case.options["config"]
    net: Any = create_model(name, **config) if name in SYSTEMS else load_model(name).net
    if case.variant == "plain":
        net = plain_network(net)
    elif prefers_channels_last(net):
        net.to(memory_format=torch.channels_last)
    return net.to(device)


def _sizes(net: Any) -> dict[str, Any]:
    return {"scale": net.scale, "size_multiple": net.size_multiple}


def _layout(x: Tensor, variant: str) -> Tensor:
    return x if variant == "plain" else x.contiguous(memory_format=torch.channels_last)


def _inputs(net: Any, case: Case, device: torch.device) -> dict[str, Tensor]:
    """Return random inputs by name for an output of (roughly) ``crop`` pixels a side."""
    scale, multiple = net.scale, net.size_multiple
    low = max(1, case.options["crop"] // scale // multiple) * multiple
    inputs = {}
    for name in net.inputs:
        bands = 3 if name == "ref_rgb" else net.ms_bands if name.endswith("msi") else net.hs_bands
        side = low if name.startswith("lr_") else low * scale
        inputs[name] = _layout(torch.rand(case.options["batch"], bands, side, side), case.variant).to(device)
    return inputs


def _forward(case: Case, device: torch.device) -> Result:
    net = _network(case, device).eval()
    inputs = _inputs(net, case, device)

    def work() -> Tensor:
        with torch.no_grad(), arithmetic(case.precision, device):
            return net(**inputs)

    figures = _forward_figures(net, inputs, case, device, **_sizes(net))
    figures["pixels"] = work()[0, 0].numel()
    if case.options.get("times_only"):
        return figures
    figures["stages"] = stage_seconds(net, work, device)
    if case.variant == "finewave":
        figures["flops"] = flops_of(work)
        figures["operators"] = operator_seconds(work, device)
    return figures


def _system(case: Case, device: torch.device) -> Result:
    net = _network(case, device).eval()
    inputs = _inputs(net, case, device)

    def work() -> None:
        with torch.no_grad(), arithmetic(case.precision, device):
            net(**inputs)

    return {
        "task": net.task,
        "parameters": sum(p.numel() for p in net.parameters()),
        **_forward_figures(net, inputs, case, device, **_sizes(net)),
        "flops": flops_of(work),
    }


def _growth(case: Case, device: torch.device) -> Result:
    net = _network(case, device).eval()
    inputs = _inputs(net, case, device)
    pixels = inputs[net.inputs[0]].shape[2] ** 2
    return {"pixels": pixels, **_forward_figures(net, inputs, case, device, **_sizes(net))}


# --- Training -----------------------------------------------------------------------------------------------------


def _step_of(net: Any, case: Case, device: torch.device) -> Callable[[Sample], None]:
    """Return the training step of phase 1 for an unfolding network, of the mean absolute error for any other."""
    parameters = [p for p in net.parameters() if p.requires_grad]
    plain = case.variant == "plain"
    optimiser = torch.optim.Adam(parameters, lr=1e-4, fused=None if plain else True)

    def step(batch: Sample) -> None:
        optimiser.zero_grad()
        with arithmetic(case.precision, device):
            if hasattr(net, "forward_stages"):
                stages = net.forward_stages(batch["lr_msi"])
                images = (stages.sr, stages.ssr, stages.fusion, batch["hr_msi"], batch["lr_hsi"], batch["hr_hsi"])
                loss = _plain_loss(*images) if plain else phase1_loss(*images, WEIGHTS)[0]
            else:
                output = net(**{name: batch[name] for name in net.inputs})
                target = batch[net.output] if net.output in batch else torch.zeros_like(output)
                loss = l1(output, target if target.shape == output.shape else torch.zeros_like(output))
        loss.backward()
        optimiser.step()

    return step


def _plain_loss(sr: Any, ssr: Any, fusion: Any, hr_msi: Tensor, lr_hsi: Tensor, hr_hsi: Tensor) -> Tensor:
    loss = F.l1_loss(fusion[-1], hr_hsi)
    for weight, estimates, target in zip(WEIGHTS, (sr, ssr, fusion), (hr_msi, lr_hsi, hr_hsi), strict=True):
        loss = loss + weight / len(estimates) * sum(F.l1_loss(u, target) for u in estimates)
    return loss


def _batch(net: Any, case: Case, device: torch.device) -> Sample:
    batch = dict(_inputs(net, case, device))
    if hasattr(net, "forward_stages"):
        n, c, h, w = batch["lr_msi"].shape
        shapes = {"hr_msi": (n, c, h * net.scale, w * net.scale), "lr_hsi": (n, net.hs_bands, h, w)}
        shapes["hr_hsi"] = (n, net.hs_bands, h * net.scale, w * net.scale)
        batch |= {key: _layout(torch.rand(shape), case.variant).to(device) for key, shape in shapes.items()}
    return batch


def _train(case: Case, device: torch.device) -> Result:
    net = _network(case, device).train()
    batch, step = _batch(net, case, device), _step_of(net, case, device)
    with ExitStack() as changed:
        changed.enter_context(recomputing(net, case.options.get("checkpoint")))
        changed.enter_context(compiling(net, case.options.get("compile", False)))
        memory = PeakMemory(device)
        figures = {**timed(lambda: step(batch), device), "peak_bytes": memory.bytes()}
        if case.variant == "finewave" and not case.options.keys() & {"checkpoint", "compile", "times_only"}:
            figures["flops"] = flops_of(lambda: step(batch))
            figures["operators"] = operator_seconds(lambda: step(batch), device)
    return figures


def _data(case: Case, device: torch.device) -> Result:
    """Crops of the heaviest kind (mixtures, gains, turns) from scenes of CAVE's size, beside training steps."""
    net = _network(case, device).train()
    crop, steps = case.options["crop"], case.options["steps"]
    random = np.random.default_rng(0)
    side = max(4 * crop, 8 * net.scale) // net.scale * net.scale
    values = [random.integers(0, 65536, (net.hs_bands, side, side)).astype(np.uint16) for _ in range(2)]
    scenes = [DegradedScene(str(i), scene, 65535.0, net.scale, {}) for i, scene in enumerate(values)]
    response = np.full((net.ms_bands, net.hs_bands), 1 / net.hs_bands)
    options = {"scale": net.scale, "crop": crop, "batch_size": case.options["batch"], "gain": (0.5, 2.0), "mix": 0.5}
    crops = Crops(scenes, response, steps=steps + 1, **options)
    step = _step_of(net, case, device)
    make = timed(lambda: crops.batch(0), torch.device("cpu"), budget=1.0)["seconds"]
    waits, works = [], []
    batches = iter(crops)
    for _ in range(steps + 1):
        start = time.perf_counter()
        batch = next(batches)
        waits.append(time.perf_counter() - start)
        moved = {key: image.to(device, non_blocking=True) for key, image in batch.items()}
        works.append(seconds_of(partial(step, moved), device))
    wait, work = sum(waits[1:]) / steps, sum(works[1:]) / steps  # the first of both is the start
    return {"batch_seconds": make, "wait_seconds": wait, "step_seconds": work, "wait_share": wait / (wait + work)}


_MEASUREMENTS: dict[str, Callable[[Case, torch.device], Result]] = {
    "peak": _peak,
    "head": _head,
    "post": _post,
    "forward": _forward,
    "train": _train,
    "growth": _growth,
    "data": _data,
    "compile": _train,
    "system": _system,
    "scene": lambda case, _: measure_scene(case),
}

if __name__ == "__main__":
    figures = measure(Case(**json.loads(sys.argv[1])))
    print(json.dumps(figures))
