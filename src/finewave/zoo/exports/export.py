"""Export of networks to ONNX, for onnxruntime and others, and to PyTorch's exported programs.

Operations that cannot be exported are replaced by equivalent standard operators, see `finewave.nn.exporting`. The
supported formats are in a network's description (`finewave.systems.base.Description`).
"""

from __future__ import annotations

import copy
import functools
import json
import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from finewave.errors import InputError, unknown_name
from finewave.extras import check_extra
from finewave.io.atomic import atomic_output
from finewave.nn.exporting import export_paths
from finewave.nn.pooling import local_pooling
from finewave.zoo.card import Card, describe
from finewave.zoo.exports.deepness import INPUT, deepness_metadata, for_deepness
from finewave.zoo.exports.onnx_model import network_facts
from finewave.zoo.exports.stac_mlm import write_item
from finewave.zoo.model import Model, load_model

FORMATS = {".onnx": "onnx", ".pt2": "pt2"}
TOLERANCE = 1e-4
"""Of an exported network's output against PyTorch's, relative to the largest value but no less than for 1."""
LEAST_SIZE = 8
"""Of the height and width in pixels that an exported network of any size takes."""
_TRACED_AT = (16, 24)
_DEEPNESS_TILE = 128


class Exported(NamedTuple):
    """Result of `export`.

    Attributes
    ----------
    path : Path
    size : tuple of int or None
        Height and width in pixels of the first input; None if any.
    difference : float
        Largest difference from PyTorch's output on random images.
    """

    path: Path
    size: tuple[int, int] | None
    difference: float


class Traced(NamedTuple):
    """A network prepared for export."""

    program: ExportedProgram
    net: nn.Module
    inputs: dict[str, Tensor]
    size: tuple[int, int] | None
    card: Card
    metadata: Mapping[str, str] = {}
    least: int = 0


def export(
    model: Model | str | Path,
    path: str | Path,
    *,
    size: tuple[int, int] | None = None,
    pooling: str = "image",
    target: str | None = None,
    full_scale: float | None = None,
    stac: bool = False,
) -> Exported:
    """Write a network as ONNX or as an exported program of PyTorch, and compare its output with PyTorch's.

    Parameters
    ----------
    model : Model, str or Path
        A model, or an argument of `load_model`.
    path : str or Path
        ``.onnx``, or ``.pt2`` for ``torch.export.load``.
    size : tuple of int, optional
        Height and width in pixels of the first input that the file is made for. By default it takes any size from 8 up,
        or, where the network does not allow that, the size of its training crops.
    pooling : {"image", "local"}
        Region of the means in channel attention, see `Model`; as ``model`` has it where that is a `Model`. Files that
        run scenes in tiles pool over windows.
    target : {"deepness"}, optional
        A program whose input conventions the file follows. ``"deepness"``: the plugin of QGIS, see
        `finewave.zoo.exports.deepness`; ONNX, for square tiles of ``size`` or of about 128 pixels.
    full_scale : float, optional
        For Deepness: the number in a layer that represents 1, by default 255; 10000 for most reflectance products.
    stac : bool
        Write a STAC item beside the file, for catalogues of models; see `finewave.zoo.exports.stac_mlm`.

    Returns
    -------
    Exported
        Inputs have their names (``lr_msi``, ...) and are (1, bands, height, width), float32; the output is (1, bands,
        height, width). The file's metadata contain the card, and its facts about bands, wavelengths, sensor and scale
        (in a ``.pt2``, the extra file ``card.json``). The checks of `Model.predict` are not included: pixels must be
        finite.

    Raises
    ------
    InputError
        A ``ValueError``, if the extension is neither, the network does not allow the format or the size, or a library
        is missing.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise unknown_name("extension of an exported network", path.suffix, FORMATS)
    kind = FORMATS[path.suffix]
    if target not in (None, "deepness"):
        raise unknown_name("program to export for", target, ("deepness",))
    if target is None and full_scale is not None:
        raise InputError("full_scale belongs to an export for Deepness; others take values as they are")
    if target is not None and kind != "onnx":
        raise InputError(f"Deepness reads ONNX; {path.name} is not a name of such a file: give it the extension .onnx")
    if not isinstance(model, Model):
        model = load_model(model).with_pooling(pooling)
    lacks = model.net.export_lacks
    if kind in lacks:
        other = next((f"; {suffix} is possible" for suffix, each in FORMATS.items() if each not in lacks), "")
        raise InputError(f"{model.name} cannot be written as {path.suffix}: {lacks[kind]}{other}")
    if kind == "onnx":
        check_extra("export", "ONNX export")
    with atomic_output(path) as temporary:
        traced = trace(model, size) if target is None else _trace_for_deepness(model, size, full_scale)
        (write_onnx if kind == "onnx" else write_pt2)(traced, temporary)
        difference = compare(traced, temporary)
    if stac:
        write_item(traced.card, path, traced.size)
    return Exported(path, traced.size, difference)


def _trace_for_deepness(model: Model, size: tuple[int, int] | None, full_scale: float | None) -> Traced:
    """Return the exported program of a network with an adapter for Deepness."""
    multiple = math.lcm(model.net.export_multiple, model.size_multiple)
    rows, columns = size or (-(-_DEEPNESS_TILE // multiple) * multiple,) * 2
    if rows != columns:
        raise InputError(f"Deepness cuts square tiles; {rows} x {columns} pixels are not square")
    plain = trace(model, (rows, columns))
    net = for_deepness(model, plain.net, full_scale)
    inputs = {INPUT: next(iter(plain.inputs.values()))}
    with torch.no_grad(), export_paths(), _silence():
        program = torch.export.export(net, (), inputs, strict=False)
    return Traced(program, net, inputs, (rows, columns), plain.card, deepness_metadata(plain.card, rows))


def _pool_over_windows(net: nn.Module, window: int, first: str) -> None:
    """Make a network take its means over windows, of images that are larger than a window."""
    forward = net.forward

    @functools.wraps(forward)  # exports read the names of the inputs from it
    def over_windows(**images: Tensor) -> Any:
        height, width = images[first].shape[2:]
        with local_pooling(window, (height, width)):
            return forward(**images)

    net.forward = over_windows


def _pools_over_windows(model: Model) -> bool:
    return model.pooling == "local" and model.n_global_poolings > 0


def least_size(model: Model) -> int:
    """Return the least height and width in pixels that a network exported for any size takes."""
    multiple = math.lcm(model.net.export_multiple, model.size_multiple)
    # one pixel more than a window, so that the means do not depend on which of the two is larger
    least = max(LEAST_SIZE, model.pooling_window + 1) if _pools_over_windows(model) else LEAST_SIZE
    return -(-least // multiple) * multiple


def trace(model: Model, size: tuple[int, int] | None = None) -> Traced:
    """Return the program of a network in evaluation mode, in float32 on the CPU, for any size if it allows that.

    Raises
    ------
    InputError
        If the size is out of range.
    """
    net = copy.deepcopy(model.net).cpu().float().eval().requires_grad_(False)
    net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # missing in torch's overloads
    multiple = math.lcm(net.export_multiple, model.size_multiple)
    fixed = size is not None or net.export_fixed is not None
    if size is None:
        more = least_size(model) - LEAST_SIZE
        rows, columns = (model.pooling_window,) * 2 if fixed else (more + _TRACED_AT[0], more + _TRACED_AT[1])
        size = (-(-rows // multiple) * multiple, -(-columns // multiple) * multiple)
    elif min(size) < 1 or any(n % model.size_multiple for n in size):
        raise InputError(f"{size=} is out of range; positive multiples of {model.size_multiple} are accepted")
    inputs = random_inputs(model, *size)
    shapes = None if fixed else _dynamic_shapes(model, multiple)
    if _pools_over_windows(model):
        _pool_over_windows(net, model.pooling_window, model.inputs[0])
    with torch.no_grad(), export_paths(), _silence():
        program = torch.export.export(net, (), inputs, dynamic_shapes=shapes, strict=False)
    card = model.card if model.card is not None else describe(model.net)
    least = least_size(model)
    facts = {"finewave.network": json.dumps(network_facts(model, size if fixed else None, least))}
    return Traced(program, net, inputs, size if fixed else None, card, facts, least)


def random_inputs(model: Model, rows: int, columns: int) -> dict[str, Tensor]:
    """Return images by name, (1, bands, height, width), of which the first is ``rows`` x ``columns``."""
    inputs = {}
    generator = torch.Generator().manual_seed(0)
    for name in model.inputs:
        s = model.upscaling if not name.startswith("lr_") else 1
        bands = model.bands_of(name)
        assert bands is not None, "networks say how many bands they have"
        inputs[name] = torch.rand(1, bands, s * rows, s * columns, generator=generator)
    return inputs


def write_onnx(traced: Traced, path: Path) -> None:
    """Write ONNX, with the card in its metadata."""
    with torch.no_grad(), export_paths(), _silence():
        program = torch.onnx.export(
            traced.program,
            (),
            kwargs=traced.inputs,
            input_names=list(traced.inputs),
            output_names=[traced.card.output],
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props.update(metadata_of(traced.card, traced.size) | dict(traced.metadata))
    program.model.producer_name = "finewave"
    program.save(str(path))


def write_pt2(traced: Traced, path: Path) -> None:
    """Write PyTorch's archive, with the card as the extra file ``card.json``."""
    torch.export.save(traced.program, path, extra_files={"card.json": traced.card.to_json()})


def metadata_of(card: Card, size: tuple[int, int] | None) -> dict[str, str]:
    """Return the metadata of an ONNX file: the whole card, and single facts by name; all as JSON."""
    facts = asdict(card)
    keys = ("name", "task", "scale", "wavelengths_nm", "ms_bands", "ms_wavelengths_nm", "sensor", "value_range")
    metadata = {key: facts[key] for key in (*keys, "licence") if facts[key] is not None}
    metadata["size"] = "any" if size is None else list(size)
    return {"finewave.card": card.to_json()} | {f"finewave.{key}": json.dumps(value) for key, value in metadata.items()}


def compare(traced: Traced, path: Path) -> float:
    """Return the largest difference between a file's output and PyTorch's, on random images.

    Raises
    ------
    RuntimeError
        If it is above `TOLERANCE`.
    """
    run = _runner(path)
    examples = [traced.inputs]
    if traced.size is None:  # another size than the one that was seen
        rows = next(iter(traced.inputs.values())).shape[2]
        examples.append({name: _cut(x, x.shape[2] // rows, traced.least, rows) for name, x in traced.inputs.items()})
    largest = 0.0
    for inputs in examples:
        with torch.no_grad():
            expected = traced.net(**inputs)
        exported = run(inputs)
        if exported.shape != expected.shape:
            raise RuntimeError(f"{path.name} makes {tuple(exported.shape)} where PyTorch makes {tuple(expected.shape)}")
        difference = float((exported - expected).abs().max())
        if not difference <= TOLERANCE * max(1.0, float(expected.abs().max())):
            raise RuntimeError(f"the output of {path.name} differs from PyTorch's by {difference:.2g}")
        largest = max(largest, difference)
    return largest


def _cut(x: Tensor, ratio: int, height: int, width: int) -> Tensor:
    """Return the upper left part of an image that has ``ratio`` times the first input's size."""
    return x[..., : ratio * height, : ratio * width].contiguous()


def _runner(path: Path) -> Any:
    """Return a function from inputs by name to the output, run by the file's runtime."""
    if path.suffix == ".pt2":
        module = torch.export.load(path).module()
        return lambda inputs: module(**inputs)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda inputs: torch.from_numpy(session.run(None, {name: x.numpy() for name, x in inputs.items()})[0])


def _dynamic_shapes(model: Model, multiple: int) -> dict[str, dict[int, Any]]:
    """Return for each input which axes are free, as multiples of the same height and width."""
    least = least_size(model) // multiple
    free = {2: Dim("height", min=least), 3: Dim("width", min=least)}
    shapes = {}
    for name in model.inputs:
        factor = multiple * (1 if name.startswith("lr_") else model.upscaling)
        shapes[name] = {axis: factor * n if factor > 1 else n for axis, n in free.items()}
    return shapes


@contextmanager
def _silence() -> Iterator[None]:
    """Suppress messages of PyTorch's exporters for their developers."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "torch.fx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
