"""Tiles as the plugin Deepness reads them, from a layer of a real QGIS: their network's output is that of predict.

The plugin itself is in no package index, so its classes cannot be run here. Its steps are those of its source, version
0.6.3 (PUTvision/qgis-plugin-deepness, ``src/deepness/processing``):

- ``model_base``: one input; metadata ``model_type``, ``tile_size``, ``tiles_overlap``, ``class_names``, each in JSON;
- ``superresolution``: one output of four axes, one image, square; the first bands of a tile as float32, divided by 255;
- ``processing_utils``: blocks of the layer's bands by extent, bilinear if resampled;
- ``map_processor_superresolution``: an output tile is laid at its tile's place times the scale factor, whole, so that
  tiles must not overlap; NaN becomes 0; values are multiplied by the form's output scaling (1), and saved as float32.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import rasterio
from affine import Affine

import finewave as fw
from finewave.io.open_save import load_scene
from finewave.systems.registry import create_model
from finewave.zoo.card import describe
from finewave.zoo.model import Model

TILE, SCALE, BANDS = 16, 2, 5
WAVELENGTHS = [450.0, 500.0, 550.0, 600.0, 650.0]
READ = """
import os, sys
from qgis.core import QgsApplication, QgsRasterLayer, QgsRectangle

source, folder, tile = sys.argv[1], sys.argv[2], int(sys.argv[3])
application = QgsApplication([], False)
application.initQgis()
layer = QgsRasterLayer(source, "layer")
assert layer.isValid()
provider, whole, pixel = layer.dataProvider(), layer.extent(), layer.rasterUnitsPerPixelX()
provider.enableProviderResampling(True)
provider.setZoomedInResamplingMethod(provider.ResamplingMethod.Bilinear)
provider.setZoomedOutResamplingMethod(provider.ResamplingMethod.Bilinear)
for row in range(layer.height() // tile):
    for column in range(layer.width() // tile):
        left, top = whole.xMinimum() + column * tile * pixel, whole.yMaximum() - row * tile * pixel
        extent = QgsRectangle(left, top - tile * pixel, left + tile * pixel, top)
        for band in range(layer.bandCount()):
            block = provider.block(band + 1, extent, tile, tile)
            with open(f"{folder}/{row}-{column}-{band}.raw", "wb") as file:
                file.write(bytes(block.data()))
os._exit(0)  # QGIS 3.22 crashes when layers are still there at its end
"""


def python_of_qgis(home: Path) -> str | None:
    """Return the Python that QGIS is installed for."""
    python = shutil.which("python3", path="/usr/bin")
    if python is None:
        return None
    asked = subprocess.run([python, "-c", "import qgis.core"], capture_output=True, check=False, env=alone(home))
    return python if asked.returncode == 0 else None


def alone(home: Path) -> dict[str, str]:
    """Return an environment without a screen and without other Pythons' packages."""
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
        environment.pop(name, None)
    return environment


@pytest.mark.slow
def test_tiles_of_a_layer_give_what_predict_gives(tmp_path: Path) -> None:
    python = python_of_qgis(tmp_path)
    if python is None:
        pytest.skip("the Python of QGIS is not installed (apt-get install qgis)")
    numbers = np.random.default_rng(4).integers(0, 10_001, (BANDS, 2 * TILE, 3 * TILE), dtype=np.uint16)
    # without a scale in the file, which QGIS would apply
    profile = {"driver": "GTiff", "dtype": "uint16", "count": BANDS, "height": 2 * TILE, "width": 3 * TILE}
    place = {"crs": "EPSG:32631", "transform": Affine(10.0, 0.0, 5e5, 0.0, -10.0, 4e6)}
    with rasterio.open(tmp_path / "layer.tif", "w", **profile, **place) as file:
        file.write(numbers)
    net = create_model("sspsr", features=8, blocks=1, group_size=3, overlap=1, reduction=2, scale=SCALE, hs_bands=BANDS)
    model = Model(net, describe(net, name="small", wavelengths_nm=WAVELENGTHS))
    fw.export(model, tmp_path / "net.onnx", target="deepness", size=(TILE, TILE), full_scale=10_000)

    command = [python, "-c", READ, tmp_path / "layer.tif", tmp_path, str(TILE)]
    read = subprocess.run(command, capture_output=True, text=True, env=alone(tmp_path), check=False)
    assert read.returncode == 0, read.stderr

    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    (given,), (output,) = session.get_inputs(), session.get_outputs()
    assert (given.shape, output.shape) == ([1, BANDS, TILE, TILE], [1, BANDS, SCALE * TILE, SCALE * TILE])
    facts = {key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
    assert (facts["model_type"].capitalize(), facts["tile_size"], facts["tiles_overlap"]) == (
        "Superresolution",
        TILE,
        0,
    )
    made = np.full((BANDS, SCALE * 2 * TILE, SCALE * 3 * TILE), np.nan, np.float32)
    for row in range(2):
        for column in range(3):
            files = [tmp_path / f"{row}-{column}-{band}.raw" for band in range(BANDS)]
            bands = [np.fromfile(each, np.uint16).reshape(TILE, TILE) for each in files]
            tile = np.stack(bands, axis=-1)[:, :, : given.shape[-3]].astype("float32") / 255
            (made_of_tile,) = session.run(None, {given.name: tile.transpose(2, 0, 1)[None]})
            y, x, side = SCALE * TILE * row, SCALE * TILE * column, SCALE * TILE
            made[:, y : y + side, x : x + side] = made_of_tile[0]

    scene = load_scene(tmp_path / "layer.tif", wavelengths=WAVELENGTHS, full_scale=10_000)
    expected = fw.super_resolve(scene, model, tile=TILE, halo=0, pooling="image")
    np.testing.assert_allclose(made, expected.values, rtol=0, atol=1e-4)
