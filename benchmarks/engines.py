"""Networks in other engines: ``python -m benchmarks.engines [MODEL ...] [--only WORD]``, processor time and values.

Each model that exports runs on one thread on the middles of CAVE's validation scenes in ``FINEWAVE_DATA``: in PyTorch
(float32, bfloat16, compiled by inductor), in ONNX Runtime and, where it is installed (``pip install openvino``), in
OpenVINO. int8 is ONNX Runtime's static quantisation (QDQ, per channel) of convolutions and matrix products, calibrated
on the middles of training scenes. Printed are processor seconds for `SIDE` x `SIDE` pixels of output, least of `RUNS`;
those of the first run, which may compile; and what the engine changes of the scores, as ``benchmarks.bfloat16`` has
them. An engine that fails is named with its reason. ``--only`` leaves out engines without this word in their names.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.bfloat16 import SIDE, pairs
from finewave.metrics import evaluate
from finewave.zoo.exports.export import export
from finewave.zoo.model import Model, load_model
from finewave.zoo.precision import MOST_LOST

MODELS = ("mstpp-cave", "sspsr-cave-x4", "jssunet-cave-x4", "jssunet-photo-x4", "awan-cave", "scene-ridge-cave")
CALIBRATION = ("feathers", "glass_tiles", "oil_painting", "paints", "stuffed_toys", "superballs")
"""Training scenes by which the ranges of int8 are found."""
RUNS = 3
Images = Mapping[str, Tensor]
Runner = Callable[[Images], Tensor]


def has_quantisation() -> bool:
    """Return whether ONNX Runtime and what it needs to quantise are installed."""
    return all(find_spec(name) is not None for name in ("onnx", "onnxruntime", "onnxscript"))


class Crops:
    """Inputs by which ONNX Runtime finds ranges, one after the other: its interface ``CalibrationDataReader``."""

    def __init__(self, images: Sequence[Images]) -> None:
        self.left = [{name: image.numpy() for name, image in each.items()} for each in images]

    def get_next(self) -> dict[str, Any] | None:
        """Return the next inputs by name; None after the last."""
        return self.left.pop(0) if self.left else None


def exported(model: Model, folder: Path, size: tuple[int, int]) -> Path:
    """Return the network as an ONNX file in a folder; made once."""
    path = folder / "model.onnx"
    if not path.exists():
        export(model, path, size=size)
    return path


def quantised(model: Model, folder: Path, size: tuple[int, int]) -> Path:
    """Return the ONNX file with convolutions and products in int8; made once."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    path = folder / "int8.onnx"
    if not path.exists():
        quantize_static(
            exported(model, folder, size),
            path,
            Crops([images for images, _ in pairs(model, CALIBRATION)]),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["Conv", "Gemm", "MatMul"],
        )
    return path


def in_onnxruntime(make: Callable[[], Path]) -> Runner:
    """Return a runner of an ONNX file in ONNX Runtime, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(make()), options, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(
        np.asarray(session.run(None, {name: image.numpy() for name, image in images.items()})[0])
    )


def in_openvino(make: Callable[[], Path], precision: str) -> Runner:
    """Return a runner of an ONNX file in OpenVINO, on one thread; ``precision`` of inner features, ``"f32"`` ..."""
    import openvino  # type: ignore[import-not-found, unused-ignore]  # of whoever measures it

    options = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": precision, "NUM_STREAMS": 1}
    compiled = openvino.Core().compile_model(str(make()), "CPU", options)
    return lambda images: torch.from_numpy(
        np.array(compiled({name: image.numpy() for name, image in images.items()})[0])
    )


def compiled_by_inductor(model: Model) -> Runner:
    """Return a runner of the network compiled by inductor."""
    net = torch.compile(model.net, dynamic=False)

    def run(images: Images) -> Tensor:
        with torch.no_grad():
            return torch.as_tensor(net(**images))

    return run


def engines_of(name: str, folder: Path, size: tuple[int, int]) -> dict[str, Callable[[], Runner]]:
    """Return what makes each engine's runner, by name; ``size`` that of the first input."""
    single = load_model(name, precision="float32")
    plain, small = partial(exported, single, folder, size), partial(quantised, single, folder, size)
    return {
        "PyTorch float32": lambda: single.run,
        "PyTorch bfloat16": lambda: load_model(name, precision="bfloat16").run,
        "ONNX Runtime float32": partial(in_onnxruntime, plain),
        "ONNX Runtime int8": partial(in_onnxruntime, small),
        "OpenVINO float32": partial(in_openvino, plain, "f32"),
        "OpenVINO bfloat16": partial(in_openvino, plain, "bf16"),
        "OpenVINO int8": partial(in_openvino, small, "f32"),
        "torch.compile": partial(compiled_by_inductor, single),
    }


def measured(make: Callable[[], Runner], crops: Sequence[tuple[Images, Tensor]], scale: int) -> dict[str, float]:
    """Return mean scores, processor ``seconds`` of a run, and those of the ``first`` with all that comes before."""
    start = time.process_time()
    run = make()
    run(crops[0][0])
    first, seconds = time.process_time() - start, []
    for _ in range(RUNS):
        start = time.process_time()
        run(crops[0][0])
        seconds.append(time.process_time() - start)
    rows = [evaluate(run(images)[0], truth, scale=scale) for images, truth in crops]
    scores = {metric: float(np.mean([row[metric] for row in rows])) for metric in MOST_LOST}
    return {**scores, "seconds": min(seconds), "first": first}


def main(arguments: list[str] | None = None) -> None:
    """Print a line for each model and engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--only", default="")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for name in given.models:
        model = load_model(name, precision="float32")
        crops = list(pairs(model))
        height, width = crops[0][0][model.inputs[0]].shape[2:]
        with tempfile.TemporaryDirectory(prefix="finewave-engines-") as folder:
            engines = engines_of(name, Path(folder), (height, width))
            truth = measured(engines.pop("PyTorch float32"), crops, model.scale)
            print(f"{name}, PyTorch float32: {truth['seconds']:.3f} s for {SIDE} x {SIDE}", flush=True)
            for engine, make in engines.items():
                if given.only.lower() not in engine.lower():
                    continue
                try:
                    found = measured(make, crops, model.scale)
                except Exception as error:  # engines fail by exceptions of their own: that is a result, too
                    print(f"{name}, {engine}: {type(error).__name__}: {str(error).splitlines()[0][:150]}", flush=True)
                    continue
                changes = ", ".join(f"{metric} {found[metric] - truth[metric]:+.5f}" for metric in MOST_LOST)
                print(
                    f"{name}, {engine}: {found['seconds']:.3f} s, first {found['first']:.1f} s, {changes}", flush=True
                )


if __name__ == "__main__":
    main()
