"""CRS that files state: a definition is used; the name of a file or an address is not opened, wherever it stands."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyproj
import pytest
import rasterio
import scipy.io
import xarray as xr
import zarr
from affine import Affine
from pyproj.enums import PJType
from rasterio.crs import CRS
from rasterio.errors import CRSError

import finewave as fw
from finewave.crs_text import crs_definition, parse_crs
from finewave.errors import InputError
from finewave.inference.spots.spot_places import placed
from finewave.io.ground.spots import read_spots
from finewave.io.open_save import load_scene
from finewave.scene import make_scene, scene_crs
from finewave.warnings import FinewaveWarning
from tests.http_server import file_server
from tests.io.products.test_stac import asset, item_of

SECRET = (
    'GEOGCS["secret",DATUM["D",SPHEROID["S",6378137,298.25]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]]'
)


@pytest.mark.parametrize(
    "text",
    [
        "EPSG:32633",
        "epsg:4326",
        "OGC:CRS84",
        "IAU:2015:30100",
        "urn:ogc:def:crs:EPSG::32633",
        "urn:ogc:def:crs:OGC:1.3:CRS84",
        "http://www.opengis.net/def/crs/EPSG/0/32633",
        "https://www.opengis.net/def/crs/OGC/1.3/CRS84",
        "+proj=utm +zone=33 +datum=WGS84 +units=m +no_defs",
        "+init=epsg:32633",
        "+a=6378137 +b=6378137 +proj=merc +units=m",
        "+no_defs +proj=utm +zone=33 +datum=WGS84 +units=m",
        "+south +no_defs +proj=utm +zone=33 +ellps=WGS84",
        "EPSG:32633+5773",
        "EPSG:32633+EPSG:5773",
        "urn:ogc:def:crs,crs:EPSG::32633,crs:EPSG::5773",
        "WGS84",
        SECRET,
        CRS.from_epsg(32633).to_wkt(version="WKT2_2019"),
        CRS.from_epsg(3857).to_wkt(version="WKT1_GDAL"),  # with an EXTENSION of PROJ's parameters
        CRS.from_epsg(3857).to_wkt(version="WKT1_ESRI"),
        pyproj.CRS("EPSG:32633").to_wkt(pretty=True),
        pyproj.CRS("EPSG:7856").to_wkt(),  # an anchor, and dates
        pyproj.CRS("EPSG:32633+5773").to_wkt(),
        pyproj.CRS("EPSG:32633").to_wkt("WKT1_GDAL").replace("[", "(").replace("]", ")"),
        'LOCAL_CS["a ""field"", 5 x 5",UNIT["metre",1]]',
        SECRET + "\0",
        CRS.from_epsg(32633).to_dict(projjson=True),
        CRS.from_epsg(32633),
        32633,
    ],
)
def test_definitions_are_used(text: Any) -> None:
    assert CRS.from_user_input(crs_definition(text)).to_wkt()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("WGS 84 / UPS North (E,N)", 5041),
        ("WGS 84 / NSIDC EASE-Grid 2.0 Global", 6933),
        ("St. Kitts 1955", 4605),
        ("ETRS89/UTM zone 32N", 25832),
        ("WGS 84 /UTM zone 33N", 32633),
        ("NAD83/California zone 5 (ftUS)", 2229),
    ],
)
def test_names_are_used_whatever_signs_they_have(name: str, code: int) -> None:
    assert parse_crs(name).to_epsg() == code


@pytest.fixture
def visits() -> Iterator[tuple[str, list[int]]]:
    """A server that nobody should come to, and who came."""
    came: list[int] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def listen() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            came.append(1)
            connection.close()

    thread = threading.Thread(target=listen)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}", came
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


@pytest.mark.parametrize(
    "text",
    [
        "name(/etc/passwd",
        "x[http://127.0.0.1:9/a.wkt]",
        "GEOGCS[",
        "GEOGCS[/etc/passwd]",
        "GEOGCS[a]/etc/passwd",
        "GEOGCS[a][b]",
        'GEOGCS["a",' + "UNIT[" * 100 + "1" + "]" * 101,
        'PROJCS["a",EXTENSION["PROJ4","+proj=utm +nadgrids=http://127.0.0.1:9/a"]]',
        'BOUNDCRS["a",PARAMETERFILE["Latitude and longitude difference file","/etc/passwd"]]',
        "GEOGCS[" + "," * 2**19 + "]",
        '{"type": "GeographicCRS"',
        "{a}/../secret",
        "[" * 100_000,
        "{" * 100_000,
        '{"a":' * 100_000,
        "+proj=tinshift +file=secret.json",
        "+no_defs +proj=tinshift +file=secret.json",
        "+no_defs +proj=utm +zone=33 +nadgrids=/etc/grid.gsb",
        "../a/b",
        "/etc/passwd",
        "a//b",
        "~/a.prj",
        "+proj=pipeline +step +proj=gridshift +grids=secret.tif",
    ],
    ids=lambda text: text[:40],
)
def test_texts_that_are_half_a_definition(text: str) -> None:
    with pytest.raises(CRSError, match="does not define a CRS"):
        crs_definition(text)


def test_definitions_of_all_kinds_of_crs_are_taken() -> None:
    """Each of PROJ's data base whose code is a multiple of 97, in four dialects."""
    kinds = [PJType.PROJECTED_CRS, PJType.GEOGRAPHIC_2D_CRS, PJType.VERTICAL_CRS, PJType.COMPOUND_CRS]
    codes = [code for kind in kinds for code in pyproj.get_codes("EPSG", kind) if int(code) % 97 == 0]
    assert len(codes) > 50
    for code in codes:
        crs = pyproj.CRS.from_epsg(int(code))
        for version in ("WKT2_2019", "WKT2_2015", "WKT1_GDAL", "WKT1_ESRI"):
            try:
                text = crs.to_wkt(version)
            except pyproj.exceptions.CRSError:  # the older dialects lack some
                continue
            if text and not text.startswith("VERTCS"):  # of ESRI, which is heights alone
                assert crs_definition(text) == text


LEADING = {
    "address": lambda site, file: f"{site}/a.wkt",
    "address for GDAL": lambda site, file: f"/vsicurl/{site}/a.wkt",
    "file": lambda site, file: str(file),
    "ESRI": lambda site, file: f"ESRI::{file}",
    "list of names": lambda site, file: f"urn:ogc:def:crs,crs:{site}/a,crs:{site}/b",
    "parameters of a file": lambda site, file: f"+init={file}:1",
    "grids": lambda site, file: f"+proj=utm +zone=33 +nadgrids={site}/g",
}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.prj"
    path.write_text(SECRET)
    return path


@pytest.mark.parametrize("kind", LEADING)
def test_what_leads_elsewhere_is_no_definition(kind: str, secret: Path) -> None:
    with pytest.raises(CRSError, match="does not define a CRS"):
        crs_definition(LEADING[kind]("http://127.0.0.1:9", secret))


def test_a_file_of_this_folder_is_no_name(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(secret.parent)
    for name in ("secret.prj", "secret.prj:1", "ESRI::secret.prj"):
        with pytest.raises(CRSError):
            crs_definition(name)
    secret.rename("secret")
    Path("ETRS89").mkdir()
    Path("ETRS89/UTM zone 32N").write_text(SECRET)
    for name in ("secret", "ETRS89/UTM zone 32N"):
        with pytest.raises(CRSError):
            crs_definition(name)


def _netcdf(path: Path, text: str, at: str) -> Path:
    values = np.random.default_rng(1).random((3, 6, 5), np.float32)
    data = xr.Dataset({"a": (("band", "y", "x"), values)}, {"x": np.arange(5.0), "y": np.arange(6.0)[::-1]})
    if at == "attribute":
        data["a"].attrs["crs"] = text
    else:
        data["a"].attrs["grid_mapping"] = "m"
        data["m"] = ((), 0, {at: text})
    data.to_netcdf(path.with_suffix(".nc"))
    return path.with_suffix(".nc")


def _zarr(path: Path, text: str, at: str) -> Path:
    values = np.random.default_rng(1).random((3, 6, 5), np.float32)
    attrs = {at: text, "spatial:transform": [1.0, 0, 0, 0, -1.0, 0]}
    path = path.with_suffix(".zarr")
    xr.Dataset({"a": (("band", "y", "x"), values, attrs)}).to_zarr(path, zarr_format=3, consolidated=False)
    return path


def _matlab(path: Path, text: str) -> Path:
    cube = np.random.default_rng(1).random((6, 5, 3))
    scipy.io.savemat(path.with_suffix(".mat"), {"scene": cube, "crs_wkt": text, "transform": [1.0, 0, 0, 0, -1.0, 0]})
    return path.with_suffix(".mat")


def _hdf5(path: Path, text: str) -> Path:
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["scene"] = np.random.default_rng(1).random((3, 6, 5), np.float32)
        file["crs_wkt"] = text
        file["transform"] = [1.0, 0, 0, 0, -1.0, 0]
    return path.with_suffix(".h5")


def _geotiff(path: Path, text: str, name: str = "crs", *, band: int = 0, **profile: Any) -> Path:
    """Tags; the one of the file named ``crs`` becomes an attribute of the scene."""
    path = path.with_suffix(".tif")
    kind = {"driver": "GTiff", "dtype": "uint16", "count": 1, "height": 6, "width": 5}
    with rasterio.open(path, "w", **kind, **profile, transform=Affine(1, 0, 5, 0, -1, 9)) as dataset:
        dataset.write(np.ones((1, 6, 5), np.uint16))
        dataset.update_tags(**({"grid_mapping": "band"} if "#" in name else {}))
        dataset.update_tags(band, **{name: text})
    return path


def _folder(path: Path, text: str) -> Path:
    """Bands in separate files."""
    path.mkdir()
    for number in (1, 2):
        _geotiff(path / f"band_{number}", text)
    return path


def _envi(path: Path, text: str) -> Path:
    path.with_suffix(".dat").write_bytes(np.ones((1, 6, 5), "<u2").tobytes())
    lines = "samples = 5\nlines = 6\nbands = 1\ndata type = 12\ninterleave = bsq\nbyte order = 0\nheader offset = 0\n"
    path.with_suffix(".hdr").write_text(f"ENVI\n{lines}crs = {{{text}}}\n")
    return path.with_suffix(".hdr")


def _item(path: Path, text: str) -> Path:
    """A STAC item of two bands, whose files state the CRS."""
    item = item_of({"red": asset("red"), "green": asset("green")})
    for key, each in item["assets"].items():
        each["href"] = _geotiff(path.with_name(key), text).name
    path.with_suffix(".json").write_text(json.dumps(item))
    return path.with_suffix(".json")


FILES: dict[str, Callable[[Path, str], Path]] = {
    "crs_wkt of NetCDF": lambda path, text: _netcdf(path, text, "crs_wkt"),
    "spatial_ref of NetCDF": lambda path, text: _netcdf(path, text, "spatial_ref"),
    "attribute crs of NetCDF": lambda path, text: _netcdf(path, text, "attribute"),
    "code in Zarr": lambda path, text: _zarr(path, text, "proj:code"),
    "WKT in Zarr": lambda path, text: _zarr(path, text, "proj:wkt2"),
    "MATLAB": _matlab,
    "HDF5": _hdf5,
    "tag of a GeoTIFF": _geotiff,
    "tag of a band": lambda path, text: _geotiff(path, text, band=1),
    "tag as GDAL names it": lambda path, text: _geotiff(path, text, "NC_GLOBAL#crs"),
    "tag of a coordinate": lambda path, text: _geotiff(path, text, "band#crs_wkt"),
    "tag in a folder of bands": _folder,
    "header of ENVI": _envi,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("leading", ["address", "file"])
@pytest.mark.parametrize("kind", FILES)
def test_files_lead_nowhere(
    kind: str,
    leading: str,
    secret: Path,
    tmp_path: Path,
    visits: tuple[str, list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = LEADING[leading](visits[0], secret)
    path = FILES[kind](tmp_path / "a", text)
    evaluated = []

    class Watched(CRS):
        @classmethod
        def from_user_input(cls, value: Any, **rest: Any) -> CRS:
            evaluated.append(value)
            return CRS.from_user_input(value, **rest)

    monkeypatch.setattr(rasterio.crs, "CRS", Watched)
    parse_crs("EPSG:32633")
    assert evaluated == ["EPSG:32633"]
    try:
        scene = load_scene(path)
    except InputError:
        pass
    else:
        assert scene_crs(scene) is None
        fw.save_scene(scene, tmp_path / "b.tif")
        fw.info(tmp_path / "b.tif")
    assert visits[1] == []
    assert text not in evaluated


@pytest.mark.parametrize("kind", ["tag of a GeoTIFF", "header of ENVI", "attribute crs of NetCDF"])
@pytest.mark.parametrize("text", ["local grid of the mine", "unknown", "see the report, page 4!"])
def test_free_text_is_no_crs_and_no_fault(kind: str, text: str, tmp_path: Path) -> None:
    with pytest.warns(FinewaveWarning, match="attribute crs is not understood"):
        scene = load_scene(FILES[kind](tmp_path / "a", text), full_scale=1)
    assert scene_crs(scene) is None
    assert "crs" not in scene.attrs


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["tag of a GeoTIFF", "tag of a band", "WKT in Zarr", "item"])
def test_files_on_a_server_lead_nowhere(
    kind: str, tmp_path: Path, visits: tuple[str, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, "127.0.0.1")
    (tmp_path / "served").mkdir()
    text = LEADING["address"](visits[0], tmp_path)
    path = _item(tmp_path / "served" / "a", text) if kind == "item" else FILES[kind](tmp_path / "served" / "a", text)
    if path.suffix == ".zarr":
        zarr.consolidate_metadata(path)
    with file_server(tmp_path / "served") as server:
        try:
            scene = fw.open_scene(f"{server.url}/{path.name}", full_scale=1).load()
        except InputError as error:
            assert re.search(r"is not a CRS|does not define a CRS", str(error))  # noqa: PT017 - one kind drops it
        else:
            assert scene_crs(scene) is None
    assert visits[1] == []


def test_spots_lead_nowhere(secret: Path, tmp_path: Path, visits: tuple[str, list[int]]) -> None:
    scene = make_scene(np.ones((1, 4, 4), np.float32), crs="EPSG:4326", transform=(1, 0, 0, 0, -1, 4))
    for kind in ("address", "file"):
        feature = {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [1.5, 1.5]},
            "properties": {"name": "a", "500": 0.5, "600": 0.6},
        }
        named = {"type": "name", "properties": {"name": LEADING[kind](visits[0], secret)}}
        path = tmp_path / "spots.geojson"
        path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature], "crs": named}))
        with pytest.raises(InputError, match="does not name a CRS"):
            placed(read_spots(path), scene, 1)
    assert visits[1] == []


def test_an_attribute_that_names_a_code_still_is_the_crs(tmp_path: Path) -> None:
    assert scene_crs(load_scene(_netcdf(tmp_path / "a", "EPSG:32633", "attribute"))) == CRS.from_epsg(32633)


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    with pytest.warns(FinewaveWarning, match="CRS is not understood"):
        load_scene(_netcdf(tmp_path / "a", "/etc/passwd", "crs_wkt"))
    with pytest.warns(FinewaveWarning, match="attribute crs is not understood"):
        load_scene(_netcdf(tmp_path / "b", "/etc/passwd", "attribute"))


@pytest.mark.filterwarnings("error::finewave.warnings.FinewaveWarning")
def test_a_note_beside_a_crs_is_no_fault(tmp_path: Path) -> None:
    note = "as measured, see /data/notes.txt"
    scene = load_scene(_geotiff(tmp_path / "a", note, crs="EPSG:32633"), full_scale=1)
    assert scene_crs(scene) == CRS.from_epsg(32633)
    values = np.random.default_rng(1).random((3, 6, 5), np.float32)
    data = xr.Dataset({"a": (("band", "y", "x"), values, {"crs": note, "grid_mapping": "m"})})
    data = data.assign_coords(x=np.arange(5.0), y=np.arange(6.0)[::-1])
    data["m"] = ((), 0, {"crs_wkt": CRS.from_epsg(32633).to_wkt()})
    data.to_netcdf(tmp_path / "a.nc")
    assert scene_crs(load_scene(tmp_path / "a.nc")) == CRS.from_epsg(32633)


def test_only_the_crs_that_counts_is_looked_at() -> None:
    scene = make_scene(np.ones((1, 4, 4), np.float32), crs="EPSG:32633", transform=(1, 0, 0, 0, -1, 4))
    scene.attrs["crs"] = "as measured, see /data/notes.txt"
    assert scene_crs(scene) == CRS.from_epsg(32633)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("text", ["local", "as measured, see /data/notes.txt"])
def test_a_tag_that_is_no_crs_is_left_out(text: str, tmp_path: Path) -> None:
    for path in (_geotiff(tmp_path / "a", text), _folder(tmp_path / "b", text)):
        scene = load_scene(path, full_scale=1)
        assert scene_crs(scene) is None
        assert "crs" not in scene.attrs


@pytest.mark.parametrize("text", ["EPSG:32633", "32633"])
def test_a_tag_that_is_a_crs_still_is_one(text: str, tmp_path: Path) -> None:
    assert scene_crs(load_scene(_geotiff(tmp_path / "a", text), full_scale=1)) == CRS.from_epsg(32633)
