"""STAC items of models, by the classes of the extension's own library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from stac_model.input import ModelInput
from stac_model.output import ModelOutput
from stac_model.schema import SCHEMA_URI, MLModelProperties

import finewave as fw
from finewave.zoo.card import Card, describe
from finewave.zoo.exports.stac_mlm import SCHEMAS, model_item
from finewave.zoo.model import Model
from tests.cli.command_line import run
from tests.test_conformity import build

WEIGHTS = Path(__file__).parents[3] / "weights"
WAVELENGTHS = [450.0, 500.0, 550.0, 600.0, 650.0]


def check(item: dict[str, Any]) -> MLModelProperties:
    """Return the model's properties as the library understands them; it raises where it does not."""
    import pystac

    read = pystac.Item.from_dict(item)
    assert read.id == item["id"]
    assert SCHEMA_URI in item["stac_extensions"]
    properties = MLModelProperties(**{key: value for key, value in item["properties"].items() if key[:4] == "mlm:"})
    described = {band["name"] for band in item["assets"]["model"]["bands"]}
    for image in (*properties.input, *properties.output):
        assert set(image.bands or ()) <= described
    return properties


def test_the_extension_is_that_of_the_library() -> None:
    assert SCHEMAS[0] == SCHEMA_URI


@pytest.mark.parametrize("folder", sorted(WEIGHTS.iterdir()), ids=lambda folder: folder.name)
@pytest.mark.parametrize("size", [None, (64, 64)])
def test_items_of_shipped_weights(folder: Path, size: tuple[int, int] | None) -> None:
    card = Card.read(folder / "card.json")
    properties = check(model_item(card, Path("net.onnx"), size))
    assert [each.name for each in properties.input] == card.inputs
    assert isinstance(properties.input[0], ModelInput)
    (output,) = properties.output
    assert isinstance(output, ModelOutput)
    factor = card.scale if card.task in ("sr", "sssr", "fusion", "refsr") else 1
    assert output.result.shape[2:] == ([-1, -1] if size is None else [factor * 64] * 2)
    if card.wavelengths_nm is not None:
        assert output.result.shape[1] == len(card.wavelengths_nm)


def test_written_beside_the_file(tmp_path: Path) -> None:
    net = build("sspsr", scale=2, ms_bands=3, hs_bands=5, blocks=1)
    Model(net, describe(net, name="small", wavelengths_nm=WAVELENGTHS)).save(tmp_path / "small")
    done = run("export", tmp_path / "small", "-o", tmp_path / "net.pt2", "--stac")
    assert done.exit_code == 0, done.output
    item = json.loads((tmp_path / "net.pt2.stac.json").read_text())
    properties = check(item)
    assert properties.framework == "PyTorch"
    assert item["assets"]["model"]["href"] == "./net.pt2"
    assert item["assets"]["model"]["bands"][0] == {"name": "450 nm", "eo:center_wavelength": 0.45}
    assert (properties.total_parameters or 0) == sum(p.numel() for p in net.parameters())


def test_without_the_option_nothing_is_beside_it(tmp_path: Path) -> None:
    net = build("sspsr", scale=2, ms_bands=3, hs_bands=5, blocks=1)
    fw.export(Model(net, describe(net, name="small", wavelengths_nm=WAVELENGTHS)), tmp_path / "net.pt2")
    assert [file.name for file in tmp_path.iterdir()] == ["net.pt2"]
