"""`finewave.info` and ``finewave info``: what was understood, as JSON can hold it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

import finewave as fw
from finewave.cli import main
from finewave.errors import InputError
from finewave.io.open_save import save_scene
from finewave.scene import make_scene

NM = [490.0, 560.0, 665.0, 842.0]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    scene = make_scene(
        np.linspace(0, 1, 4 * 6 * 5).reshape(4, 6, 5),
        NM,
        fwhm=[65.0, 35.0, 30.0, 115.0],
        good_bands=[True, True, False, True],
        band_names=["blue", "green", "red", "nir"],
        crs="EPSG:32631",
        transform=(10, 0, 5e5, 0, -10, 44e5),
        attrs={"sensor": "tester"},
    )
    save_scene(scene, tmp_path / "a.tif", dtype="uint16", full_scale=10000, nodata=65535)
    return tmp_path / "a.tif"


def test_everything_that_a_file_says(file: Path) -> None:
    found = fw.info(file, models=False)
    assert json.loads(json.dumps(found)) == found == {
        "path": str(file), "format": "GeoTIFF", "bands": 4, "rows": 6, "columns": 5,
        "dtype": "uint16", "scale_factor": 1e-4, "offset": 0.0, "nodata": 65535.0,
        "quantity": None, "sensor": "tester", "product": None, "datetime": None, "model": None,
        "wavelengths_nm": NM, "fwhm_nm": [65.0, 35.0, 30.0, 115.0],
        "good_bands": [True, True, False, True], "band_names": ["blue", "green", "red", "nir"],
        "crs": "EPSG:32631", "transform": [10.0, 0.0, 5e5, 0.0, -10.0, 44e5], "pixel_size": 10.0,
        "bounds": [5e5, 44e5 - 60, 5e5 + 50, 44e5], "control_points": 0, "rpcs": False, "warnings": [],
    }  # fmt: skip


def test_facts_show_themselves_in_a_few_lines(file: Path) -> None:
    found = fw.info(file)
    assert str(found).splitlines()[1:4] == [
        "Size             5 × 6 pixels, 4 bands",
        "Wavelengths      490 to 842 nm",
        "Values           uint16",
    ]
    assert "EPSG:32631, pixels of 10, x 500000 to 500050, y 4399940 to 4400000" in str(found)
    assert "kernel-ridge" not in str(found)
    shown = found._repr_html_()
    assert shown.startswith("<table>")
    assert len(shown) < 2500


def test_an_open_scene_has_facts_too(file: Path) -> None:
    scene = fw.open_scene(file).assign_attrs(model="<script>x</script>", model_card="{" + "x" * 9000 + "}")
    found = fw.info(scene, models=False)
    of_file = fw.info(file, models=False)
    assert {key: value for key, value in found.items() if key != "model"} == {
        key: value for key, value in of_file.items() if key not in ("path", "format", "warnings", "model")
    }
    assert "&lt;script&gt;x" in found._repr_html_()
    assert len(found._repr_html_()) < 2500  # not the card
    with pytest.raises(InputError, match="open scene"):
        fw.info(scene, variable="x")


def test_what_was_assumed_is_among_the_warnings(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((3, 4, 5), 1000, np.uint16))
    found = fw.info(tmp_path / "a.npy", models=False)
    assert found["format"] == "NumPy array"
    assert found["scale_factor"] == 1e-4
    assert "assumed that 10000 represents 1.0" in found["warnings"][0]


def test_models_that_fit_and_why_not(file: Path) -> None:
    models = {each["name"]: each for each in fw.info(file)["models"]}
    assert not models["sspsr-cave-x4"]["fits"]
    assert "expects 31" in models["sspsr-cave-x4"]["why"]
    assert not any("of the trained models" in each["why"] for each in models.values())
    assert {"name", "task", "scale", "fits", "why"} == set(models["mstpp-cave"])


def test_weights_for_any_sensor_fit_where_the_scene_says_whose_bands_it_has() -> None:
    bands = {"band_name": ("band", ["B2", "B4", "B11"]), "wavelength": ("band", [492.4, 664.6, 1613.7])}
    scene = xr.DataArray(np.full((3, 4, 5), 0.2, np.float32), dims=("band", "y", "x"), coords=bands)
    found = {each["name"]: each for each in fw.info(scene.assign_attrs(sensor="sentinel2a"))["models"]}
    assert found["any-sensor-enmap"]["fits"]
    assert "3 of 3 bands of sentinel2a" in found["any-sensor-enmap"]["why"]
    assert "2 of 3 bands of sentinel2a" in found["any-sensor-cave"]["why"]
    unnamed = {each["name"]: each for each in fw.info(scene.drop_vars(["band_name", "wavelength"]))["models"]}
    assert not unnamed["any-sensor-enmap"]["fits"]
    assert "--sensor" in unnamed["any-sensor-enmap"]["why"]


def test_command_line(file: Path) -> None:
    result = CliRunner().invoke(main, ["info", str(file), "--json"], standalone_mode=False)
    printed = json.loads(result.stdout)
    assert printed == json.loads(json.dumps(fw.info(file)))
    result = CliRunner().invoke(main, ["info", str(file)], standalone_mode=False)
    assert "wavelengths nm  490, 560, 665, 842" in result.stdout
    assert "good bands      all but 3" in result.stdout
    assert "sspsr-cave-x4" in result.stdout


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        fw.info(tmp_path / "none.tif")


OPENED = (
    ".tif .hdr .nc .h5 .mat .png .jp2 .he5".split()  # noqa: SIM905 - the extensions of the cases
)


@pytest.mark.cases
def test_every_case(cases: Path) -> None:
    refused = []
    files = [each for each in sorted(cases.glob("[A-F]*/*")) if each.suffix in OPENED]
    files += [*cases.glob("F6*/*.zarr"), cases / "F9_enmap_product"]
    for each in files:
        try:
            found = fw.info(each, models=False)
        except InputError as error:
            refused.append((each.name, "damaged" in str(error)))
            continue
        json.dumps(found)
        assert found["bands"] >= 1
    assert refused == [("icvl.mat", False)]  # it holds two images, and the message names the option
    assert len(files) > 35


@pytest.mark.data
def test_real_samples(real_images: Path) -> None:
    found = fw.info(sorted((real_images / "enmap").glob("*.tif"))[0], models=False)
    assert (found["bands"], found["crs"], found["nodata"]) == (224, "EPSG:32633", -32768)
    assert found["good_bands"].count(False) == 6
    photograph = fw.info(sorted((real_images / "photos").glob("*.jpg"))[0], models=False)
    assert (photograph["bands"], photograph["sensor"]) == (3, "srgb")
