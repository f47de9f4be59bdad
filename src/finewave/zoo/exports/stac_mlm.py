"""A STAC item beside an exported network, by the extension for models (MLM 1.x), for catalogues of models."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from finewave.systems.registry import SYSTEMS
from finewave.zoo.card import Card

SCHEMAS = (
    "https://stac-extensions.github.io/mlm/v1.6.0/schema.json",
    "https://stac-extensions.github.io/eo/v2.0.0/schema.json",
)
_AXES = ["batch", "channel", "height", "width"]
_ARTIFACTS = {  # by extension: media type, and the function that wrote the file
    ".onnx": ("application/octet-stream; framework=onnx; profile=onnx", "torch.onnx.export"),
    ".pt2": ("application/zip; application=pytorch", "torch.export.save"),
}


def item_path(path: Path) -> Path:
    """Return where the item of an exported network stands: ``net.onnx.stac.json`` beside ``net.onnx``."""
    return path.with_name(f"{path.name}.stac.json")


def write_item(card: Card, path: Path, size: tuple[int, int] | None) -> None:
    """Write the item of an exported network, see `model_item`, beside it."""
    from finewave.io.atomic import atomic_output

    with atomic_output(item_path(path)) as temporary:
        temporary.write_text(json.dumps(model_item(card, path, size), indent=2) + "\n", encoding="utf-8")


def model_item(card: Card, path: Path, size: tuple[int, int] | None) -> dict[str, Any]:
    """Return the STAC item of an exported network.

    Parameters
    ----------
    card : Card
    path : Path
        The exported file, which is there.
    size : tuple of int, optional
        Height and width of its first input; None if any.

    Returns
    -------
    dict
        A STAC 1.1 item without a place: where a network was trained says little of where it may be used, and the card
        names the data. Sizes that are free are -1.
    """
    media, artifact = _ARTIFACTS[path.suffix]
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    properties: dict[str, Any] = {
        "datetime": now,
        "created": now,
        "title": card.name,
        "description": f"{card.system}: {' + '.join(card.inputs)} to {card.output}, scale {card.scale}",
        "mlm:name": card.name,
        "mlm:architecture": card.system,
        "mlm:tasks": _tasks(card),
        "mlm:framework": "ONNX" if path.suffix == ".onnx" else "PyTorch",
        "mlm:total_parameters": card.parameters,
        "mlm:pretrained": True,
        "mlm:accelerator": None,
        "mlm:accelerator_constrained": False,
        "mlm:input": [_input(card, name, size) for name in card.inputs],
        "mlm:output": [_output(card, size)],
    }
    if card.licence:
        properties["license"] = card.licence if " " not in card.licence else "other"  # of SPDX, or a sentence
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": list(SCHEMAS),
        "id": f"{card.name}-{path.suffix[1:]}",
        "geometry": None,
        "properties": properties,
        "links": [],
        "assets": {
            "model": {
                "href": f"./{path.name}",
                "type": media,
                "title": card.name,
                "roles": ["mlm:model", "data"],
                "mlm:artifact_type": artifact,
                "bands": _described_bands(card),
            }
        },
    }


def _tasks(card: Card) -> list[str]:
    return ["regression"] if SYSTEMS[card.system].task == "ssr" else ["super-resolution"]


def _input(card: Card, name: str, size: tuple[int, int] | None) -> dict[str, Any]:
    names = [label for label, _ in _bands(card, name)]
    return {
        "name": name,
        "bands": names,
        "input": _array(len(names), size, 1 if name == card.inputs[0] else card.scale),
        "description": f"values from {card.value_range[0]:g} to {card.value_range[1]:g}, as they are",
        "pre_processing_function": None,
    }


def _output(card: Card, size: tuple[int, int] | None) -> dict[str, Any]:
    names = [label for label, _ in _bands(card, card.output)]
    finer = card.inputs[0].startswith("lr_") and card.output.startswith("hr_")
    return {
        "name": card.output,
        "bands": names,
        "tasks": _tasks(card),
        "result": _array(len(names), size, card.scale if finer else 1),
        "post_processing_function": None,
    }


def _array(bands: int, size: tuple[int, int] | None, factor: int) -> dict[str, Any]:
    """Return the shape of an image ``factor`` times as fine as the first input."""
    rows, columns = (-1, -1) if size is None else (factor * n for n in size)
    return {"shape": [1, bands or -1, rows, columns], "dim_order": _AXES, "data_type": "float32"}


def _bands(card: Card, image: str) -> list[tuple[str, float | None]]:
    """Return name and centre in nm of the bands of an input or output; empty where the card does not name them."""
    multispectral = image.endswith("msi") or image == "ref_rgb"
    names, centres = (card.ms_bands, card.ms_wavelengths_nm) if multispectral else (None, card.wavelengths_nm)
    if names is None and centres is None:
        return []
    labels = names or [f"{centre:g} nm" for centre in centres or ()]
    positions: list[float | None] = [None] * len(labels) if centres is None else [*centres]
    return list(zip(labels, positions, strict=True))


def _described_bands(card: Card) -> list[dict[str, Any]]:
    """Return every band of inputs and output once, with its centre in micrometres as the extension has it."""
    known = {label: centre for image in (*card.inputs, card.output) for label, centre in _bands(card, image)}
    return [
        {"name": label} | ({} if centre is None else {"eo:center_wavelength": round(centre / 1000, 7)})
        for label, centre in known.items()
    ]
