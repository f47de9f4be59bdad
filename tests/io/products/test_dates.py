"""When a scene was taken: read from every product's metadata or name, kept in every format, shown by ``info``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import xarray as xr

import finewave as fw
from finewave.inference.predict import predict_file
from finewave.io.stac_item import stac_item
from finewave.scene import make_scene
from tests.fuzz import product_bases
from tests.io.products import test_landsat as landsat

pytestmark = pytest.mark.filterwarnings("ignore::finewave.warnings.FinewaveWarning")


def insert(path: Path, before: str, text: str) -> None:
    content = path.read_text()
    assert before in content
    path.write_text(content.replace(before, text + before, 1))


def _safe(path: Path) -> None:
    time = "<PRODUCT_START_TIME>2024-05-01T10:36:19.024Z</PRODUCT_START_TIME>"
    insert(next(path.glob("MTD_*.xml")), "<Datatake>", time)


def _mtl(path: Path) -> None:
    lines = '    DATE_ACQUIRED = 2022-06-15\n    SCENE_CENTER_TIME = "10:05:32.1234560Z"\n'
    insert(next(path.glob("*_MTL.txt")), "    SUN_ELEVATION", lines)


def _xml(path: Path) -> None:
    time = "<temporalCoverage><startTime>2021-02-03T04:05:06.7Z</startTime></temporalCoverage>"
    insert(next(path.glob("*METADATA.*")), "<specific>", time)


def _attribute(name: str, value: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with h5py.File(path, "a") as file:
            file.attrs[name] = value

    return write


def _planet(path: Path) -> None:
    times = "<ps:acquisitionDateTime>2024-06-01T10:11:12.5+00:00</ps:acquisitionDateTime>"
    insert(next(path.glob("*metadata.xml")), "<eop:instrument>", times)


def _imd(path: Path) -> None:
    insert(path.with_suffix(".IMD"), "\tmeanSunEl", "\tfirstLineTime = 2021-03-18T10:11:12.131415Z;\n")


def _eopf(path: Path) -> None:
    discovery = {"properties": {"datetime": None, "start_datetime": "2025-05-30T10:15:59.024Z"}}
    attributes = path / ".zattrs"
    attributes.write_text(json.dumps({"stac_discovery": discovery}))
    (path / ".zmetadata").unlink(missing_ok=True)


def _specim(path: Path) -> None:
    lines = "acquisition date = DATE(yyyy-mm-dd): 2018-01-24\nstart time = UTC TIME: 22:47:35\n"
    insert(path, "tint =", lines)


# what the made product says, and what it says after its metadata have been given the time
STATED: dict[str, tuple[str | None, Callable[[Path], None] | None, str]] = {
    "Sentinel-2 SAFE": ("2024-05-01T10:36:19Z", _safe, "2024-05-01T10:36:19.024Z"),
    "Sentinel-2 EOPF": (None, _eopf, "2025-05-30T10:15:59.024Z"),
    "Landsat MTL.txt": ("2022-06-15", _mtl, "2022-06-15T10:05:32.123Z"),
    "EnMAP": ("2022-07-24T10:45:26Z", _xml, "2021-02-03T04:05:06.700Z"),
    "DESIS": ("2020-08-04T12:36:18Z", _xml, "2021-02-03T04:05:06.700Z"),
    "PRISMA": (None, _attribute("Product_StartTime", np.bytes_("2020-04-07T10:36:44.5")), "2020-04-07T10:36:44.500Z"),
    "EMIT": (
        "2023-03-16T04:51:33Z",
        _attribute("time_coverage_start", "2023-03-16T04:51:34+0000"),
        "2023-03-16T04:51:34Z",
    ),
    "AVIRIS-3": (
        "2023-09-26T20:16:18Z",
        _attribute("time_coverage_start", "2023-09-26T20:16:19Z"),
        "2023-09-26T20:16:19Z",
    ),
    "PACE": (
        "2024-06-01T12:00:00Z",
        _attribute("time_coverage_start", "2024-06-01T12:00:05.123Z"),
        "2024-06-01T12:00:05.123Z",
    ),
    "NEON": (None, None, ""),
    "Tanager": ("2025-01-01T10:11:12Z", _attribute("acquired", "2025-01-01T10:11:13Z"), "2025-01-01T10:11:13Z"),
    "PlanetScope": ("2024-06-01T10:11:12Z", _planet, "2024-06-01T10:11:12.500Z"),
    "WorldView": (None, _imd, "2021-03-18T10:11:12.131Z"),
    "Specim": (None, _specim, "2018-01-24T22:47:35Z"),
    "STAC item": ("2024-01-01T10:00:00Z", None, ""),
}


@pytest.mark.parametrize("name", STATED)
def test_of_each_product(name: str, tmp_path: Path) -> None:
    by_name, state, stated = STATED[name]
    path = product_bases.PRODUCTS[name](tmp_path)
    assert fw.info(path, models=False)["datetime"] == by_name
    if state is not None:
        if path.is_file():  # its maker may have left the file open
            folder = Path(shutil.copytree(path.parent, tmp_path.with_name(f"{tmp_path.name}_copy")))
            path = folder / path.name
        state(path)
        assert fw.open_scene(path).attrs["datetime"] == stated


def test_flight_line_of_neon(tmp_path: Path) -> None:
    path = product_bases.PRODUCTS["NEON"](tmp_path)
    line = path.rename(tmp_path / "NEON_D02_SERC_DP1_20190515_163456_reflectance.h5")
    assert fw.open_scene(line).attrs["datetime"] == "2019-05-15"


def test_bands_taken_out_of_a_product_have_their_names(tmp_path: Path) -> None:
    landsat.level_2(tmp_path, None)
    assert fw.open_scene(tmp_path).attrs["datetime"] == "2022-06-15"


@pytest.mark.parametrize("extension", [".tif", ".img", ".nc", ".zarr", ".h5", ".mat"])
def test_through_predict_into_every_format(extension: str, tmp_path: Path) -> None:
    values = np.random.default_rng(1).random((3, 6, 6), dtype=np.float32)
    fw.save_scene(make_scene(values, attrs={"datetime": "2024-05-01T10:20:30Z"}), tmp_path / "in.tif")
    output = tmp_path / f"out{extension}"
    predict_file(tmp_path / "in.tif", output, "bicubic", scale=2, stac=True)
    assert fw.info(output, models=False)["datetime"] == "2024-05-01T10:20:30Z"
    item = json.loads((tmp_path / "out.stac.json").read_text())
    assert item["properties"]["datetime"] == "2024-05-01T10:20:30Z"
    # where other programs look for it
    if extension in (".nc", ".zarr"):
        engine = "zarr" if extension == ".zarr" else "h5netcdf"
        with xr.open_dataset(output, engine=engine) as dataset:
            assert dataset.attrs["time_coverage_start"] == "2024-05-01T10:20:30Z"


def test_files_of_others(tmp_path: Path) -> None:
    values = np.ones((3, 4, 5), np.float32)
    fw.save_scene(make_scene(values), tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif", "r+") as file:
        file.update_tags(ns="IMAGERY", ACQUISITIONDATETIME="2019-01-02 03:04:05")
    assert fw.open_scene(tmp_path / "a.tif").attrs["datetime"] == "2019-01-02T03:04:05Z"
    fw.save_scene(make_scene(values, attrs={"acquisition_time": "2010-12-03T13:04:24Z"}), tmp_path / "a.img")
    assert fw.open_scene(tmp_path / "a.img").attrs["datetime"] == "2010-12-03T13:04:24Z"
    dims = ("time", "band", "y", "x")
    dataset = xr.Dataset({"r": (dims, values[None])}, {"time": ("time", [36.5], {"units": "days since 2024-01-01"})})
    dataset.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    assert fw.open_scene(tmp_path / "a.nc").attrs["datetime"] == "2024-02-06T12:00:00Z"
    dataset["time"].attrs["units"] = "days since never"
    dataset.attrs["time_coverage_start"] = "2024-02-06T12:00:01Z"
    dataset.to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    assert fw.open_scene(tmp_path / "b.nc").attrs["datetime"] == "2024-02-06T12:00:01Z"


def test_an_item_of_a_day_has_no_time() -> None:
    item = stac_item(make_scene(np.ones((1, 2, 2)), attrs={"datetime": "2022-06-15"}), Path("a.tif"))
    properties = item["properties"]
    assert properties["datetime"] is None
    assert properties["start_datetime"] == "2022-06-15T00:00:00Z"
    assert properties["end_datetime"] == "2022-06-15T23:59:59Z"
