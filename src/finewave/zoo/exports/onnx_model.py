"""Exported networks, run by ONNX Runtime: PyTorch is not needed."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.extras import missing_package
from finewave.systems.tile_stages import Margins
from finewave.types import TASKS
from finewave.zoo.card import Card
from finewave.zoo.runnable import RunnableModel

VERSION = 1
"""Of the facts in a file's metadata, `network_facts`."""
MOST_BANDS = 65_535
_FACTS: dict[str, tuple[type, ...]] = {  # and the types that JSON gives
    "version": (int,),
    "multiple": (int,),
    "least_size": (int,),
    "size": (list, type(None)),
    "pooling": (str,),
    "receptive_field": (int, type(None)),
    "reach": (int, type(None)),
    "n_global_poolings": (int,),
    "shift_equivariant": (bool,),
    "band_by_band": (bool,),
    "ms_bands": (int, type(None)),
    "hs_bands": (int, type(None)),
    "attention_window": (int,),
    "working_memory": (int,),
    "largest_tile": (int, type(None)),
}


class OnnxModel(RunnableModel):
    """A network in a file that `finewave.export` wrote.

    Parameters
    ----------
    path : Path
        The file, ``.onnx``.

    Raises
    ------
    InputError
        If it cannot be read or run, another program or another version of finewave wrote it, it refers to other files,
        or its inputs and outputs are not what its card says.
    """

    def __init__(self, path: Path) -> None:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise InputError(f"no such file: {path}") from None
        self.path = path
        self._sha256 = hashlib.sha256(content).hexdigest()
        self._session = _session(content, path)
        metadata = self._session.get_modelmeta().custom_metadata_map
        self._facts = _facts_in(metadata, path)
        self.card = Card.from_json(metadata["finewave.card"], f"the card in {path}")
        self.name = self.card.name
        self.task = self.card.task
        self.inputs, self.output = TASKS[self.card.task].inputs, TASKS[self.card.task].output
        self.size_multiple = self.card.size_multiple
        self.pooling = str(self._facts["pooling"])
        self.precision = "float32"
        if self._facts["largest_tile"] is not None:
            self.largest_tile = self._facts["largest_tile"]
        self._check_shapes()

    def _check_shapes(self) -> None:
        """Refuse a file whose inputs and output are not those of its card, in kind and number of bands."""
        expected = {name: self.bands_of(name) for name in self.inputs}
        given = {each.name: each for each in self._session.get_inputs()}
        made = self._session.get_outputs()
        if list(given) != list(expected) or len(made) != 1:
            raise InputError(
                f"{self.path} takes {', '.join(given)} and makes {len(made)} images; its card says "
                f"{', '.join(expected)} and one: export it again"
            )
        for each, bands in ((made[0], self.hs_bands), *((given[name], n) for name, n in expected.items())):
            channels = each.shape[1] if len(each.shape) == 4 else None
            fits = channels == bands if isinstance(channels, int) and bands is not None else len(each.shape) == 4
            if not fits or each.type != "tensor(float)" or not 1 <= (bands or 1) <= MOST_BANDS:
                raise InputError(
                    f"{self.path}: {each.name} is a {each.type} of shape {each.shape}; float of shape (1, "
                    f"{bands or 'bands'}, height, width) is expected: export it again"
                )

    @property
    def scale(self) -> int:
        """Ratio s between HR and LR images."""
        assert self.card is not None
        return self.card.scale

    @property
    def receptive_field(self) -> int | None:
        """As of `RunnableModel`."""
        return self._facts["receptive_field"]

    @property
    def n_global_poolings(self) -> int:
        """Number of global poolings of the network."""
        return self._facts["n_global_poolings"]

    @property
    def reach(self) -> int | None:
        """`receptive_field` with the windows of local pooling; None for the whole image."""
        return self._facts["reach"]

    @property
    def shift_equivariant(self) -> bool:
        """As of `RunnableModel`."""
        return self._facts["shift_equivariant"]

    @property
    def band_by_band(self) -> bool:
        """As of `RunnableModel`."""
        return self._facts["band_by_band"]

    @property
    def ms_bands(self) -> int | None:
        """Number of multispectral bands; None if the network does not state it."""
        return self._facts["ms_bands"]

    @property
    def hs_bands(self) -> int | None:
        """Number of hyperspectral bands; None if the network does not state it."""
        return self._facts["hs_bands"]

    @property
    def attention_window(self) -> int:
        """Side in output pixels of the widest window that its attention compares; 0 without."""
        return self._facts["attention_window"]

    @property
    def working_memory(self) -> int:
        """Bytes that it needs for each output pixel that it sees."""
        return self._facts["working_memory"]

    @property
    def arithmetic(self) -> str:
        """Precision of the file's network."""
        return "float32"

    def with_precision(self, precision: str) -> OnnxModel:
        """Return this model; its arithmetic is that of the file.

        Raises
        ------
        InputError
            If it should be another one.
        """
        if precision == "bfloat16":
            self.in_pytorch("--precision bfloat16 (precision=)")
        return self

    @property
    def tile_pooling(self) -> str:
        """That of the file."""
        return self.pooling

    def with_pooling(self, pooling: str) -> OnnxModel:
        """Return this model; its means are those of the file.

        Raises
        ------
        InputError
            If it should have others.
        """
        if self.n_global_poolings and pooling != self.pooling:
            raise InputError(
                f"{self.path.name} was exported with --pooling {self.pooling}, not {pooling}: leave out --pooling "
                f"(pooling=), or export it again with --pooling {pooling}"
            )
        return self

    def fingerprint(self) -> str:
        """Return the file's SHA-256."""
        return self._sha256

    def check_size(self, rows: int, columns: int) -> None:
        """Refuse a scene that the file does not take."""
        size, least = self._facts["size"], self._facts["least_size"]
        if size is not None and [rows, columns] != size:
            raise InputError(
                f"scene of {rows} x {columns} pixels; {self.path.name} was exported for {size[0]} x {size[1]} alone: "
                "export it without --size, or cut the scene with --window"
            )
        if size is None and min(rows, columns) < least:
            raise InputError(
                f"scene of {rows} x {columns} pixels; {self.path.name} takes images of {least} x {least} or larger"
            )

    def run_arrays(
        self, images: Mapping[str, NDArray[np.float32]], margins: Sequence[Margins] = ()
    ) -> NDArray[np.float32]:
        """Run the network, see `RunnableModel.run_arrays`; it has one stage and no margins.

        Images are reflected at bottom and right up to a size that the network takes, as the networks do themselves.
        """
        assert not margins, "the network in a file has one stage"
        rows, columns = images[self.inputs[0]].shape[1:]
        more = [0, 0] if self._facts["size"] is not None else [-n % self._facts["multiple"] for n in (rows, columns)]
        feeds = {}
        for name, image in images.items():
            ratio = image.shape[1] // rows
            padded = np.pad(image, [(0, 0), *((0, ratio * n) for n in more)], mode="reflect") if any(more) else image
            feeds[name] = np.ascontiguousarray(padded, np.float32)[None]
        try:
            (output,) = self._session.run(None, feeds)
        except Exception as error:  # ONNX Runtime has no common class of its errors
            raise InputError(f"{self.path} cannot be run on this image: {_first_line(error)}") from error
        s = self.upscaling
        expected = (1, self.hs_bands or output.shape[1], s * (rows + more[0]), s * (columns + more[1]))
        if output.shape != expected:
            raise InputError(f"{self.path} makes an image of shape {output.shape}; its card says {expected}")
        return np.asarray(output[0, :, : s * rows, : s * columns])


def network_facts(model: Any, size: tuple[int, int] | None, least: int) -> dict[str, Any]:
    """Return what `OnnxModel` needs to know of a network beyond its card, for the metadata of an exported file.

    Parameters
    ----------
    model : Model
    size : tuple of int, optional
        Of the first input, if the file takes one alone.
    least : int
        Least height and width that it takes otherwise.
    """
    net = model.net
    window = net.attention_window
    return {
        "version": VERSION,
        "multiple": max(net.export_multiple, model.size_multiple),
        "least_size": least,
        "size": None if size is None else list(size),
        "pooling": model.pooling,
        "receptive_field": model.receptive_field,
        "reach": model.reach,
        "n_global_poolings": model.n_global_poolings,
        "shift_equivariant": model.shift_equivariant,
        "band_by_band": model.band_by_band,
        "ms_bands": model.ms_bands,
        "hs_bands": model.hs_bands,
        "attention_window": window,
        # in standard operators, attention has a score for each pixel and position, in three arrays
        "working_memory": net.working_memory + 3 * 4 * window**2,
        "largest_tile": net.export_largest_tile,
    }


def _facts_in(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    """Return the facts about a network in a file's metadata."""
    if "finewave.card" not in metadata:
        raise InputError(f"{path} is not a model of finewave: it has no card; files of `finewave export` are accepted")
    if "model_type" in metadata:
        raise InputError(f"{path} was exported for Deepness; export it without --for")
    try:
        facts = json.loads(metadata.get("finewave.network", "null"))
    except (ValueError, RecursionError):
        facts = None
    version = facts.get("version") if isinstance(facts, dict) else None
    if not isinstance(facts, dict) or version != VERSION:
        wrote = "an older version" if facts is None or version is None else f"another version (format {version})"
        raise InputError(f"{path} was exported by {wrote} of finewave; export it again with this one")
    for key, kinds in _FACTS.items():
        value = facts.get(key)
        whole = type(value) is int
        if type(value) not in kinds or (whole and not 0 <= value <= 2**31) or (key == "size" and not _is_size(value)):
            raise InputError(f"{path}: {key} is {str(value)[:40]!r} in its metadata; export it again")
    if facts["multiple"] < 1 or facts["pooling"] not in ("image", "local") or facts["largest_tile"] == 0:
        raise InputError(f"{path}: its metadata are damaged; export it again")
    return facts


def _is_size(value: object) -> bool:
    return value is None or (
        isinstance(value, list) and len(value) == 2 and all(type(each) is int and 0 < each <= 2**20 for each in value)
    )


def _session(content: bytes, path: Path) -> Any:
    """Return a session of ONNX Runtime for a file that stands alone."""
    try:
        import onnxruntime
    except ImportError:
        raise missing_package(f"the model {path.name}", "onnxruntime", "export") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised
    with tempfile.TemporaryDirectory(prefix="finewave-onnx-") as nothing:
        # weights in other files would be looked for in an empty folder: a file of finewave holds its own
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", nothing)
        try:
            return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has no common class of its errors
            raise InputError(f"{path} cannot be run by ONNX Runtime: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    text = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return text if len(text) <= 200 else f"{text[:197]}..."
