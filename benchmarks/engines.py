"""The shipped weights in other engines, as figures and a page: ``python -m benchmarks.engines --times docs``.

Each kind of weights runs on the middle of a scene, 128 x 128 pixels of output, in PyTorch, compiled by inductor, in
ONNX Runtime (the extra ``export``) and, where it is installed (``pip install openvino``), in OpenVINO. int8 is ONNX
Runtime's static quantisation (QDQ, per channel) of convolutions and matrix products, calibrated on training scenes; an
engine that cannot take a network is named with its reason. ``--losses`` measures what an engine changes of the scores
on validation scenes, ``--times`` medians of elapsed seconds on all cores, which need a machine that does nothing else.
Both are added to ``performance-engines.json`` in the folder given, from which ``performance-engines.md`` is written.
``--cache`` keeps exported and compiled networks, so that ``--prepare`` or ``--losses`` can make them beforehand.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.bfloat16 import pairs
from benchmarks.engines_report import MODELS, page_of
from benchmarks.machines import kind_of
from benchmarks.meter import timed
from finewave.errors import InputError
from finewave.metrics import evaluate
from finewave.provenance import describe_machine
from finewave.warnings import FinewaveWarning
from finewave.zoo.exports.export import export
from finewave.zoo.model import Model, load_model, prefers_channels_last
from finewave.zoo.precision import MOST_LOST

SIDE = 128
"""Of the output, in pixels."""
SECONDS = 1.0
"""For the runs of an engine, of which there are three at least."""
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
        if any(model.bands_of(name) is None for name in model.inputs):
            raise InputError("it takes any number of bands, a file a fixed one")
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
            Crops([images for images, _ in pairs(model, "train", side=SIDE)]),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["Conv", "Gemm", "MatMul"],
        )
    return path


def in_onnxruntime(make: Callable[[], Path]) -> Runner:
    """Return a runner of an ONNX file in ONNX Runtime, on PyTorch's number of threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    session = onnxruntime.InferenceSession(str(make()), options, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(
        np.asarray(session.run(None, {name: image.numpy() for name, image in images.items()})[0])
    )


def in_openvino(make: Callable[[], Path], precision: str) -> Runner:
    """Return a runner of an ONNX file in OpenVINO, on as many threads; ``precision`` as it names them, ``"bf16"``."""
    if find_spec("openvino") is None:
        raise InputError("openvino is not installed")
    import openvino  # type: ignore[import-not-found, unused-ignore]  # of whoever measures it

    threads = torch.get_num_threads()
    options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision, "NUM_STREAMS": 1}
    compiled = openvino.Core().compile_model(str(make()), "CPU", options)
    return lambda images: torch.from_numpy(
        np.array(compiled({name: image.numpy() for name, image in images.items()})[0])
    )


def compiled_by_inductor(model: Model) -> Runner:
    """Return a runner of the network compiled by inductor, in the arithmetic and layout of the default."""
    net = torch.compile(model.net.eval(), dynamic=False)
    mixed = model.arithmetic == "bfloat16"
    layout = torch.channels_last if prefers_channels_last(model.net) else torch.contiguous_format

    def run(images: Images) -> Tensor:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            return torch.as_tensor(net(**{name: x.contiguous(memory_format=layout) for name, x in images.items()}))

    return run


def engines_of(model: Model, folder: Path, size: tuple[int, int]) -> dict[str, Callable[[], Runner]]:
    """Return what makes each engine's runner, by name; ``size`` that of the first input."""
    plain, small = partial(exported, model, folder, size), partial(quantised, model, folder, size)
    return {
        "PyTorch float32": lambda: model.with_precision("float32").run,
        "PyTorch bfloat16": lambda: model.with_precision("bfloat16").run,
        "torch.compile": partial(compiled_by_inductor, model),
        "ONNX Runtime float32": partial(in_onnxruntime, plain),
        "ONNX Runtime int8": partial(in_onnxruntime, small),
        "OpenVINO float32": partial(in_openvino, plain, "f32"),
        "OpenVINO bfloat16": partial(in_openvino, plain, "bf16"),
        "OpenVINO int8": partial(in_openvino, small, "f32"),
    }


def scores_of(run: Runner, crops: Sequence[tuple[Images, Tensor]], scale: int) -> dict[str, float]:
    """Return the means of the metrics of `MOST_LOST` over crops."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FinewaveWarning)  # of pixels without an angle, the same for all engines
        rows = [evaluate(run(images)[0].float(), truth, scale=scale) for images, truth in crops]
    return {metric: float(np.mean([row[metric] for row in rows])) for metric in MOST_LOST}


def measure_model(name: str, folder: Path, what: str, only: str = "") -> dict[str, dict[str, Any]]:
    """Return figures of each engine, or its ``error``, and print them.

    Parameters
    ----------
    name : str
        Of the weights.
    folder : Path
        Where exported networks are kept.
    what : {"prepare", "losses", "times"}
        Nothing but ``prepared`` (processor seconds up to the first result); also what the engine changes of the scores
        in PyTorch's float32; or the median of ``seconds`` and the number of ``runs``.
    only : str
        Words in the names of engines, with commas between them.
    """
    model = load_model(name).with_resolved_precision()
    crops = list(pairs(model, side=SIDE, most=6 if what == "losses" else 1))
    images = crops[0][0]
    height, width = images[model.inputs[0]].shape[2:]
    folder.mkdir(parents=True, exist_ok=True)
    truth = scores_of(model.with_precision("float32").run, crops, model.scale) if what == "losses" else {}
    default = "PyTorch " + model.arithmetic
    found: dict[str, dict[str, Any]] = {}
    for engine, make in engines_of(model, folder, (height, width)).items():
        if not any(word.strip().lower() in engine.lower() for word in only.split(",")):
            continue
        start = time.process_time()
        try:
            run = make()
            run(images)
            figures: dict[str, Any] = {"prepared": round(time.process_time() - start, 2)}
            if what == "losses":
                scores = scores_of(run, crops, model.scale)
                figures |= {metric: round(scores[metric] - truth[metric], 5) for metric in MOST_LOST}
            elif what == "times":
                taken = timed(partial(run, images), torch.device("cpu"), budget=SECONDS)
                figures = {"seconds": taken["seconds"], "runs": taken["runs"], "default": engine == default}
        except Exception as error:  # engines fail by exceptions of their own: that is a result, too
            lines = str(error).strip().splitlines() or [""]
            figures = {"error": (f"{type(error).__name__}: {lines[0]}" if lines[0] else type(error).__name__)[:160]}
        print(f"{name}, {engine}: {', '.join(f'{key} {value}' for key, value in figures.items())}", flush=True)
        found[engine] = figures
    torch.compiler.reset()
    return found


def with_measured(
    figures: dict[str, Any], what: str, name: str, found: Mapping[str, dict[str, Any]], machine: dict[str, Any]
) -> dict[str, Any]:
    """Return figures with those of one model added: losses once, times by the kind of processor."""
    place = (
        figures.setdefault(what, {})
        if what == "losses"
        else figures.setdefault(what, {}).setdefault(kind_of(machine), {})
    )
    place[name] = {"machine": machine, "engines": {**place.get(name, {}).get("engines", {}), **found}}
    order = [*MODELS, *place]
    for known in sorted(place, key=order.index):  # as a dict keeps them
        place[known] = place.pop(known)
    return figures


def main(arguments: list[str] | None = None) -> None:
    """Measure, and write figures and page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=MODELS, metavar="MODEL")
    parser.add_argument("--only", default="", metavar="WORD,...", help="engines with one of these words in their names")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="keep exported and compiled networks there")
    parser.add_argument("--threads", type=int, default=0, help="by default all cores")
    kinds = parser.add_mutually_exclusive_group(required=True)
    for what in ("prepare", "losses", "times", "write"):
        flags = {"action": "store_true"} if what == "prepare" else {"type": Path, "metavar": "FOLDER"}
        kinds.add_argument(f"--{what}", **flags)
    given = parser.parse_args(arguments)
    what = next(each for each in ("prepare", "losses", "times", "write") if getattr(given, each))
    for talkative in ("torch._dynamo", "torch._inductor", ""):  # "": ONNX Runtime's quantisation
        logging.getLogger(talkative).setLevel(logging.ERROR)
    if given.threads:
        torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory(prefix="finewave-engines-") as temporary:
        cache = given.cache or Path(temporary)
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache / "inductor"))
        for name in () if what == "write" else given.models:
            machine = describe_machine()
            found = measure_model(name, cache / name, what, given.only)
            if what != "prepare":
                figures = read_figures(getattr(given, what))
                write_figures(getattr(given, what), with_measured(figures, what, name, found, machine))
    if what == "write":
        write_figures(given.write, read_figures(given.write))


def read_figures(folder: Path) -> dict[str, Any]:
    """Return the figures that a folder has; empty without."""
    path = folder / "performance-engines.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write_figures(folder: Path, figures: dict[str, Any]) -> None:
    """Write figures and page into a folder."""
    path = folder / "performance-engines.json"
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(page_of(figures), encoding="utf-8")


if __name__ == "__main__":
    main()
