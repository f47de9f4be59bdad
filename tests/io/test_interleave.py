"""What lies together in a file: one band of many is read without the others, by the bytes that a server sends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr

import finewave as fw
from finewave.errors import InputError
from finewave.inference.predict import predict_file
from finewave.scene import make_scene
from tests.http_server import file_server

BANDS, SIDE = 31, 896


@pytest.fixture(scope="module")
def scene() -> xr.DataArray:
    values = np.random.default_rng(31).integers(0, 255, (BANDS, SIDE, SIDE), dtype=np.uint8)
    return make_scene(values / np.float32(255), np.linspace(400, 700, BANDS))


@pytest.mark.parametrize("name", ["scene.tif", "scene.zarr"])
def test_one_band_of_many_costs_a_band(
    name: str, scene: xr.DataArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    more = {"cog": True} if name.endswith(".tif") else {}
    sent = {}
    for interleave in (None, "pixel"):
        folder = tmp_path / str(interleave)
        folder.mkdir()
        chosen = {} if interleave is None else {"interleave": interleave}
        fw.save_scene(scene, folder / name, dtype="uint8", full_scale=255, nodata=255, **more, **chosen)
        with file_server(folder) as served:
            opened = fw.open_scene(f"{served.url}/{name}")
            served.forget()
            np.testing.assert_allclose(opened[12].values, scene[12].values, atol=1e-6)
            sent[interleave] = served.sent
    assert sent[None] < sent["pixel"] / 25


@pytest.mark.parametrize("compress", ["deflate", "none"])
def test_a_cog_of_bands_has_the_order_of_one(compress: str, scene: xr.DataArray, tmp_path: Path) -> None:
    import tifffile

    path = tmp_path / "a.tif"
    fw.save_scene(scene[:6], path, cog=True, compress=compress)
    with rasterio.open(path) as file:
        assert file.interleaving.value == "BAND"
        assert file.overviews(1) == [2]
        assert file.block_shapes[0] == (512, 512)
        np.testing.assert_array_equal(file.read(), scene[:6].values)
        assert float(file.tags(3)["wavelength"]) == 420
    with tifffile.TiffFile(path) as tiff:
        whole, overview = tiff.pages[0], tiff.pages[1]
        assert whole.offset < overview.offset < min(overview.dataoffsets)
        assert max(overview.dataoffsets) < min(whole.dataoffsets)


@pytest.mark.parametrize(
    ("name", "few", "many"),
    [("a.nc", (3, 64, 64), (1, 64, 64)), ("a.h5", (3, 64, 64), (1, 64, 64)), ("a.zarr", (3, 64, 64), (1, 64, 64))],
)
def test_chunks(name: str, few: tuple[int, ...], many: tuple[int, ...], tmp_path: Path) -> None:
    for bands, expected, options in (
        (3, few, {}),
        (5, many, {}),
        (3, many, {"interleave": "band"}),
        (5, (5, 64, 64), {"interleave": "pixel"}),
    ):
        path = tmp_path / f"{bands}{len(options)}{name}"
        fw.save_scene(make_scene(np.zeros((bands, 64, 64), np.float32)), path, **options)
        engine = "zarr" if name.endswith("zarr") else "h5netcdf"
        with xr.open_dataset(path, engine=engine) as dataset:
            chunks = dataset["scene"].encoding.get("chunksizes") or dataset["scene"].encoding["chunks"]
        assert tuple(chunks) == expected


@pytest.mark.parametrize(("told", "expected"), [("band", "bsq"), ("pixel", "bip"), ("bil", "bil")])
def test_envi_by_either_name(told: str, expected: str, tmp_path: Path) -> None:
    fw.save_scene(make_scene(np.zeros((2, 4, 5), np.float32)), tmp_path / "a.hdr", interleave=told)
    assert f"interleave = {expected}" in (tmp_path / "a.hdr").read_text()


@pytest.mark.parametrize("name", ["out.tif", "out.zarr", "out.hdr"])
@pytest.mark.parametrize("tile", [16, None])
def test_predict_lays_it_out(name: str, tile: int | None, tmp_path: Path) -> None:
    image = make_scene(np.random.default_rng(1).random((6, 24, 40), dtype=np.float32), [450, 500, 550, 600, 650, 700])
    fw.save_scene(image, tmp_path / "in.tif")
    for told in (None, "pixel"):
        out = tmp_path / f"{told}{name}"
        predict_file(tmp_path / "in.tif", out, "bicubic", scale=2, tile=tile, interleave=told)
        if name.endswith("zarr"):
            import zarr

            assert zarr.open(out)["scene"].chunks[0] == (1 if told is None else 6)
        else:
            with rasterio.open(out.with_suffix(".img") if name.endswith("hdr") else out) as file:
                assert file.interleaving.value == ("BAND" if told is None else "PIXEL")


@pytest.mark.parametrize("name", ["a.tif", "a.nc", "a.zarr", "a.hdr"])
def test_unknown(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="interleave"):
        fw.save_scene(make_scene(np.zeros((2, 4, 5), np.float32)), tmp_path / name, interleave="line")
    with pytest.raises(InputError, match="interleave"):
        fw.save_scene(make_scene(np.zeros((2, 4, 5), np.float32)), tmp_path / "a.mat", interleave="band")


@pytest.mark.parametrize("compress", ["none", "NONE", None, "lzw", "lerc"])
@pytest.mark.parametrize("cog", [True, False])
def test_pixels_in_one_place_whatever_the_compression(
    compress: str | None, cog: bool, scene: xr.DataArray, tmp_path: Path
) -> None:
    fw.save_scene(scene[:3], tmp_path / "a.tif", cog=cog, compress=compress)
    with rasterio.open(tmp_path / "a.tif") as file:
        assert file.interleaving.value == "PIXEL"
        assert (file.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG") == cog
        assert (file.compression.value if file.compression else "NONE") == (compress or "none").upper()
        np.testing.assert_array_equal(file.read(), scene[:3].values)


@pytest.mark.parametrize("compress", ["jpeg", "webp", "jxl", "zip"])
def test_compressions_that_lose_values_or_do_not_exist(compress: str, scene: xr.DataArray, tmp_path: Path) -> None:
    """GDAL wrote files without any pixel for the first two, uncompressed ones for others."""
    with pytest.raises(fw.InputError, match=f"compress='{compress}' is unknown or loses values; accepted are deflate"):
        fw.save_scene(scene[:3], tmp_path / "a.tif", compress=compress)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("bands", "size"), [(218, 64), (31, 176), (3, 512), (3000, 16)])
def test_chunks_of_whole_pixels_stay_small(bands: int, size: int) -> None:
    from finewave.io.formats.netcdf import side_of_chunk

    assert side_of_chunk(bands, np.dtype(np.float32)) == size
    assert bands * 4 * size**2 <= 2**22
