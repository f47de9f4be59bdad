"""STAC items: which assets are bands, what is said of them, and where they lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import finewave as fw
from finewave.errors import InputError
from finewave.io.network.location import Remote
from finewave.io.open_options import OpenOptions
from finewave.io.products.stac import open_item
from tests.http_server import file_server

BANDS = {"blue": ("B02", 0.49, 0.098), "green": ("B03", 0.56, 0.045), "red": ("B04", 0.665, 0.038)}
CRS, TRANSFORM = "EPSG:32632", rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)


def band_file(path: Path, number: int, count: int = 1, side: int = 16, nodata: int = 0) -> None:
    profile = {"driver": "GTiff", "dtype": "uint16", "count": count, "height": side, "width": side, "nodata": nodata}
    with rasterio.open(
        path, "w", crs=CRS, transform=TRANSFORM * rasterio.Affine.scale(16 / side), **profile
    ) as dataset:
        for band in range(count):
            stored = np.full((side, side), number + 1000 * band, np.uint16)
            stored[0, 0] = nodata
            dataset.write(stored, band + 1)


def item_of(assets: dict[str, Any], version: str = "1.0.0", **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": version,
        "id": "S2A_32TQM_20240101",
        "geometry": None,
        "properties": {"datetime": "2024-01-01T10:00:00Z", "platform": "sentinel-2a", **properties},
        "links": [],
        "assets": assets,
    }


def asset(key: str, version: str = "1.0.0", offset: float = -0.1, suffix: str = ".tif") -> dict[str, Any]:
    name, centre, width = BANDS[key]
    told: dict[str, Any] = {"href": f"./{key}{suffix}", "type": "image/tiff; application=geotiff", "roles": ["data"]}
    if version == "1.0.0":
        told["eo:bands"] = [
            {"name": name, "common_name": key, "center_wavelength": centre, "full_width_half_max": width}
        ]
        told["raster:bands"] = [{"nodata": 0, "scale": 0.0001, "offset": offset}]
    else:
        told |= {"nodata": 0, "raster:scale": 0.0001, "raster:offset": offset}
        told["bands"] = [
            {
                "name": name,
                "eo:common_name": key,
                "eo:center_wavelength": centre,
                "eo:full_width_half_max": width,
            }
        ]
    return told


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, key in enumerate(BANDS):
        band_file(tmp_path / f"{key}.tif", 2000 + 1000 * number)
    band_file(tmp_path / "scl.tif", 4)
    return tmp_path


def write(folder: Path, item: dict[str, Any], name: str = "item.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(item))
    return path


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
def test_bands_of_files_of_their_own(version: str, folder: Path) -> None:
    assets = {key: asset(key, version) for key in ("red", "green", "blue")}
    assets["scl"] = {"href": "scl.tif", "type": "image/tiff", "roles": ["data"]}
    assets["thumbnail"] = {"href": "t.jpg", "type": "image/jpeg", "roles": ["thumbnail"]}
    scene = fw.open_scene(write(folder, item_of(assets, version)))
    assert scene.band_name.values.tolist() == ["B04", "B03", "B02"]
    np.testing.assert_allclose(scene.wavelength, [665, 560, 490])
    np.testing.assert_allclose(scene.fwhm, [38, 45, 98])
    np.testing.assert_allclose(scene.values[:, 5, 5], [0.3, 0.2, 0.1], rtol=1e-6)
    assert np.isnan(scene.values[:, 0, 0]).all()
    assert scene.attrs["sensor"] == "sentinel2a"
    assert scene.attrs["product"] == "S2A_32TQM_20240101"
    assert str(scene.rio.crs) == CRS
    assert scene.rio.transform() == TRANSFORM


def test_an_offset_that_has_been_applied(folder: Path) -> None:
    item = item_of({"blue": asset("blue"), "green": asset("green")}, **{"earthsearch:boa_offset_applied": True})
    with pytest.warns(fw.FinewaveWarning, match="not applied again"):
        scene = fw.open_scene(write(folder, item))
    np.testing.assert_allclose(scene.values[:, 5, 5], [0.2, 0.3], rtol=1e-6)


def test_assets_that_are_asked_for(folder: Path) -> None:
    path = write(folder, item_of({key: asset(key) for key in BANDS}))
    scene = fw.open_scene(path, variable="red, B02")
    assert scene.band_name.values.tolist() == ["B04", "B02"]
    with pytest.raises(InputError, match=r"no raster called 'nir'.*blue, green, red"):
        fw.open_scene(path, variable="nir")
    with pytest.raises(InputError, match=r"no raster called ','"):
        fw.open_scene(path, variable=",")


def test_the_tiff_of_two_assets_of_one_band(folder: Path) -> None:
    other = asset("blue") | {"href": "missing.jp2", "type": "image/jp2"}
    scene = fw.open_scene(write(folder, item_of({"blue-jp2": other, "blue": asset("blue")})))
    assert scene.sizes["band"] == 1


def test_countless_assets_are_not_all_listed(folder: Path) -> None:
    item = item_of({f"b{number}": asset("blue") | {"eo:bands": [{"name": "a"}] * 2} for number in range(1000)})
    with pytest.raises(InputError, match=r"choose with variable= .*: b0, b1, .*, b49 and 950 more$"):
        fw.open_scene(write(folder, item))


def test_one_asset_with_all_bands(folder: Path) -> None:
    band_file(folder / "all.tif", 1000, count=3)
    told = {
        "href": "all.tif",
        "type": "image/tiff",
        "roles": ["data"],
        "eo:bands": [{"name": key, "common_name": key, "center_wavelength": BANDS[key][1]} for key in BANDS],
        "raster:bands": [{"scale": 0.0002, "offset": 0.05}] * 3,
    }
    scene = fw.open_scene(write(folder, item_of({"ortho": told})))
    np.testing.assert_allclose(scene.values[:, 5, 5], [0.25, 0.45, 0.65], rtol=1e-6)
    np.testing.assert_allclose(scene.wavelength, [490, 560, 665])
    assert np.isnan(scene.values[:, 0, 0]).all()


def test_wavelengths_of_a_sensor_that_is_known(folder: Path) -> None:
    told = {key: asset(key) for key in BANDS}
    for each in told.values():
        del each["eo:bands"][0]["center_wavelength"], each["eo:bands"][0]["full_width_half_max"]
    scene = fw.open_scene(write(folder, item_of(told)))
    np.testing.assert_allclose(scene.wavelength, [492.4, 559.8, 664.6], atol=3)


def test_bands_of_two_resolutions(folder: Path) -> None:
    band_file(folder / "red.tif", 4000, side=8)
    path = write(folder, item_of({"green": asset("green"), "red": asset("red")}))
    assert fw.open_scene(path).shape == (2, 16, 16)
    assert fw.open_scene(path, resolution=20).shape == (2, 8, 8)


@pytest.mark.parametrize("kind", ["Catalog", "Collection", "FeatureCollection"])
def test_what_holds_many_scenes(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path, {"type": kind, "stac_version": "1.0.0"})
    with pytest.raises(InputError, match="name one of its items"):
        fw.open_scene(path)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"type": "Feature", "stac_version": "1.0.0"}, "no assets"),
        (item_of({}), "no asset that is a raster"),
        (
            item_of({"a": {"href": "a.tif", "type": "image/tiff", "eo:bands": [{"center_wavelength": []}]}}),
            r"is \[\]",
        ),
        (item_of({"a": asset("blue")}) | {"properties": [1]}, r"properties is \[1\]"),
    ],
)
def test_items_that_are_not_whole(item: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        fw.open_scene(write(tmp_path, item))


def test_an_item_on_a_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    write(folder, item_of({key: asset(key) for key in BANDS}))
    near = fw.open_scene(folder / "item.json")
    (folder / "sub").mkdir()
    write(folder / "sub", item_of({"a": asset("blue") | {"href": "/etc/hosts.tif"}}), "secret")
    with file_server(folder) as served:
        scene = fw.open_scene(f"{served.url}/item.json?token=hush")
        np.testing.assert_array_equal(scene.values, near.values)
        # a local item leads to its server, too
        absolute = {key: asset(key) | {"href": f"{served.url}/{key}.tif"} for key in BANDS}
        scene = fw.open_scene(write(folder, item_of(absolute), "links.json"))
        np.testing.assert_array_equal(scene.values, near.values)
        with pytest.raises(InputError, match=rf"{served.url}/etc/hosts\.tif as band: there is no such file"):
            fw.open_scene(f"{served.url}/sub/secret")


@pytest.mark.parametrize("href", ["file:///etc/hosts.tif", "/vsizip/etc/a.zip/b.tif"])
def test_an_item_of_elsewhere_leads_to_no_file_of_this_machine(
    href: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    write(folder, item_of({"blue": asset("blue") | {"href": href}}))
    with file_server(folder) as served, pytest.raises(InputError, match="leads to a file of this machine"):
        fw.open_scene(f"{served.url}/item.json")


METADATA = ("169.254.169.254", "2852039166", "0xa9fea9fe", "[::ffff:169.254.169.254]", "[fe80::1]", "169.254.43518")


@pytest.mark.parametrize("host", METADATA)
def test_an_item_does_not_lead_to_the_metadata_of_a_cloud(host: str, folder: Path) -> None:
    """Whose answers hold the keys of the machine; nothing is asked, so that nothing can answer."""
    for scheme in ("http://", "/vsicurl/http://", "https://a:b@"):
        item = item_of({"blue": asset("blue") | {"href": f"{scheme}{host}/latest/meta-data/blue.tif"}})
        with pytest.raises(InputError, match="an address of this machine or its network"):
            fw.open_scene(write(folder, item))


@pytest.mark.parametrize(
    "path",
    [
        "/vsizip//vsicurl/http://{}/a.zip/blue.tif",
        "/vsizip/{{/vsicurl/http://{}/a.zip}}/blue.tif",
        "/vsigzip//vsicurl/http://{}/blue.tif.gz",
        "/vsisubfile/0_99,/vsicurl/http://{}/blue.tif",
        "/vsicurl_streaming/http://{}/blue.tif",
        "/vsicached?file=/vsicurl/http://{}/blue.tif",
        "/vsicrypt/key=a,file=/vsicurl/http://{}/blue.tif",
        "/vsiwebhdfs/http://{}/blue.tif",
        "/vsisparse//vsicurl/http://{}/blue.tif",
        "/vsistdin/blue.tif",
        "/vsicurl?url=http%3A%2F%2F{}%2Fblue.tif",
    ],
)
def test_paths_of_gdal_within_paths_lead_nowhere(path: str, folder: Path) -> None:
    item = item_of({"blue": asset("blue") | {"href": path.format("169.254.169.254")}})
    with pytest.raises(InputError, match=r"leads elsewhere with its asset blue|an address of this machine"):
        fw.open_scene(write(folder, item))


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "127.1", "127.0.0.2", "10.0.0.1", "[::1]", "a.localhost"])
def test_an_item_of_elsewhere_leads_to_no_server_of_this_network(host: str) -> None:
    item = item_of({"blue": asset("blue") | {"href": f"http://{host}:8000/blue.tif"}})
    with pytest.raises(InputError, match="an address of this machine or its network"):
        open_item(item, Remote("https://data.example/item.json"), OpenOptions())


def test_a_virtual_raster_of_elsewhere_is_not_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    write(folder, item_of({"blue": asset("blue") | {"href": "blue.vrt"}}))
    with file_server(folder) as served, pytest.raises(InputError, match="blue is a virtual raster"):
        fw.open_scene(f"{served.url}/item.json")


def test_bands_of_one_name_are_told_apart_by_their_colours(folder: Path) -> None:
    told = {key: asset(key) for key in BANDS}
    for each in told.values():
        each["eo:bands"][0]["name"] = "OLI"
    assert fw.open_scene(write(folder, item_of(told))).sizes["band"] == 3


def test_begin_of_an_item_without_a_moment(folder: Path) -> None:
    band_file(folder / "red.tif", 2000)
    item = item_of({"red": asset("red")})
    item["properties"] |= {"datetime": None, "start_datetime": "2024-05-01T00:00:00Z"}
    assert fw.open_scene(write(folder, item)).attrs["datetime"] == "2024-05-01T00:00:00Z"


def test_assets_that_are_known_by_their_keys_alone(folder: Path) -> None:
    told = {key: {"href": f"{key}.tif", "type": "image/tiff", "roles": ["data"]} for key in BANDS}
    scene = fw.open_scene(write(folder, item_of(told)), full_scale=10000)
    assert scene.band_name.values.tolist() == list(BANDS)
    with pytest.raises(InputError, match="one or several with commas: x1, x2"):
        fw.open_scene(write(folder, item_of({f"x{i}": told["blue"] for i in (1, 2)})))
