"""Networks in other engines: ``python -m benchmarks.engines [MODEL ...]``, processor time beside PyTorch's.

Each model runs on one made image of `SIDE` pixels of the output, on one thread: in PyTorch (float32, bfloat16), in ONNX
Runtime and compiled by inductor, both float32. All are compared with PyTorch's float32. The first run, which may
compile, is told apart. An engine that fails is named with its reason.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from finewave.zoo.export import export, random_inputs
from finewave.zoo.model import Model, load_model

MODELS = ("mstpp-cave", "sspsr-cave-x4", "jssunet-cave-x4")
SIDE = 256
RUNS = 3


def torch_runner(model: Model, images: dict[str, Tensor]) -> Callable[[], Tensor]:
    """Return the network as it runs in predictions."""
    return lambda: model.run(images)


def onnx_runner(model: Model, images: dict[str, Tensor]) -> Callable[[], Tensor]:
    """Return the network in ONNX Runtime, on one thread."""
    import onnxruntime

    height, width = images[model.inputs[0]].shape[2:]
    with tempfile.TemporaryDirectory(prefix="finewave-engines-") as folder:
        path = Path(folder) / "model.onnx"
        export(model, path, size=(height, width))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    inputs = {name: image.numpy() for name, image in images.items()}
    return lambda: torch.from_numpy(np.asarray(session.run(None, inputs)[0]))


def compiled_runner(model: Model, images: dict[str, Tensor]) -> Callable[[], Tensor]:
    """Return the network compiled by inductor."""
    net = torch.compile(model.net, dynamic=False)

    def run() -> Tensor:
        with torch.no_grad():
            return torch.as_tensor(net(**images))

    return run


def main(names: list[str]) -> None:
    """Print a line for each model and engine."""
    torch.set_num_threads(1)
    for name in names or MODELS:
        single = load_model(name, precision="float32")
        side = SIDE // single.upscaling
        images = random_inputs(single, side, side)
        truth = single.run(images)
        engines: dict[str, Callable[[], Callable[[], Tensor]]] = {
            "PyTorch float32": partial(torch_runner, single, images),
            "PyTorch bfloat16": partial(torch_runner, load_model(name, precision="bfloat16"), images),
            "ONNX Runtime": partial(onnx_runner, single, images),
            "torch.compile": partial(compiled_runner, single, images),
        }
        for engine, make in engines.items():
            start = time.process_time()
            try:
                run = make()
                difference = float((run() - truth).abs().max())
            except Exception as error:  # engines fail by exceptions of their own: that is a result, too
                print(f"{name}, {engine}: {type(error).__name__}: {str(error).splitlines()[0][:150]}", flush=True)
                continue
            first, seconds = time.process_time() - start, []
            for _ in range(RUNS):
                start = time.process_time()
                run()
                seconds.append(time.process_time() - start)
            print(f"{name}, {engine}: {min(seconds):.2f} s, first {first:.1f} s, {difference:.1e} off", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
