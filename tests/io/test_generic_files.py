"""Files of formats that are only read, and what is said of those that are not."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import cloudpickle
import h5py
import numpy as np
import pytest
import rasterio
import scipy.io
import xarray as xr
import zarr
from PIL import Image
from rasterio.shutil import copy

from finewave.errors import InputError
from finewave.io.open_save import load_scene, open_scene, save_scene
from finewave.scene import make_scene, scene_transform

VALUES = np.linspace(0, 1, 4 * 6 * 5, dtype=np.float32).reshape(4, 6, 5)
NM = [450.0, 550.0, 650.0, 850.0]


@pytest.fixture
def tiff(tmp_path: Path) -> Path:
    scene = make_scene(VALUES, NM, crs="EPSG:32631", transform=(10, 0, 5e5, 0, -10, 44e5))
    save_scene(scene, tmp_path / "a.tif")
    return tmp_path / "a.tif"


def test_virtual_raster(tiff: Path) -> None:
    with rasterio.open(tiff) as file:
        assert file.count == 4
    copy(tiff, tiff.with_suffix(".vrt"), driver="VRT")
    scene = open_scene(tiff.with_suffix(".vrt"))
    np.testing.assert_array_equal(scene.values, VALUES)
    assert scene.wavelength.values.tolist() == NM
    assert scene_transform(scene)[:6] == (10, 0, 5e5, 0, -10, 44e5)


def test_raster_of_any_extension_that_gdal_knows(tiff: Path) -> None:
    copy(tiff, tiff.with_name("a.kea_or_whatever"), driver="GTiff")
    np.testing.assert_array_equal(open_scene(tiff.with_name("a.kea_or_whatever")).values, VALUES)


def test_nitf(tmp_path: Path) -> None:
    with rasterio.open(tmp_path / "a.ntf", "w", driver="NITF", count=4, height=6, width=5, dtype="float32") as file:
        file.write(VALUES)
    np.testing.assert_array_equal(open_scene(tmp_path / "a.ntf").values, VALUES)


def test_numpy_array(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", VALUES)
    np.testing.assert_array_equal(open_scene(tmp_path / "a.npy").values, VALUES)


def test_numpy_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", cube=np.moveaxis(VALUES, 0, -1), wavelengths=NM, fwhm=[10] * 4, bbl=[1, 1, 0, 1])
    scene = open_scene(tmp_path / "a.npz")
    np.testing.assert_array_equal(scene.values, VALUES)
    assert scene.wavelength.values.tolist() == NM
    assert scene.fwhm.values.tolist() == [10] * 4
    assert scene.good_band.values.tolist() == [True, True, False, True]


def test_numpy_objects_are_never_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="Python objects, which are never opened"):
        open_scene(tmp_path / "a.npy")


def test_xarray_engine(tmp_path: Path) -> None:
    dataset = xr.Dataset({"r": (("wavelength", "y", "x"), VALUES)}, {"wavelength": NM})
    dataset.to_netcdf(tmp_path / "a.measured", engine="h5netcdf")
    scene = open_scene(tmp_path / "a.measured", engine="h5netcdf")
    np.testing.assert_array_equal(scene.values, VALUES)
    assert scene.wavelength.values.tolist() == NM
    with pytest.raises(InputError, match=r"unknown xarray engine 'h5netcdff'; did you mean 'h5netcdf'"):
        open_scene(tmp_path / "a.measured", engine="h5netcdff")


def test_engine_rasterio(tiff: Path) -> None:
    np.testing.assert_array_equal(open_scene(tiff, engine="rasterio").values, VALUES)


@pytest.mark.parametrize("extension", ["webp", "avif", "heic"])
def test_photographs_of_telephones(tmp_path: Path, extension: str) -> None:
    if extension == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[:, 24:] = (200, 60, 60)
    Image.fromarray(pixels).save(tmp_path / f"a.{extension}", quality=100)
    scene = open_scene(tmp_path / f"a.{extension}", linearise=False)
    assert scene.shape == (3, 32, 48)
    np.testing.assert_allclose(scene.values[:, 16, 40], np.array([200, 60, 60]) / 255, atol=0.02)


def test_photographs_need_their_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rawpy", None)
    (tmp_path / "a.dng").write_bytes(b"II*\0")
    with pytest.raises(InputError, match=r"needs the package rawpy, which is not installed: pip install .*photos"):
        open_scene(tmp_path / "a.dng")


def test_two_series_of_bands(tmp_path: Path) -> None:
    flat = {f"{kind}_{nm}": (("y", "x"), VALUES[0] + i) for i, kind in enumerate(("rhos", "rhot")) for nm in (443, 560)}
    xr.Dataset(flat).to_netcdf(tmp_path / "a.nc")
    with pytest.raises(InputError, match=r"\(--variable\): rhos \(2 bands\), rhot \(2 bands\)"):
        open_scene(tmp_path / "a.nc")
    scene = open_scene(tmp_path / "a.nc", variable="rhot_*")
    np.testing.assert_array_equal(scene.values, np.stack([VALUES[0] + 1] * 2))
    assert scene.wavelength.values.tolist() == [443, 560]


def test_nested_structs_of_matlab(tmp_path: Path) -> None:
    inner = {"cube": np.moveaxis(VALUES, 0, -1), "info": {"wavelength": NM}}
    scipy.io.savemat(tmp_path / "a.mat", {"s": {"deep": inner}, "note": "x"})
    scene = open_scene(tmp_path / "a.mat")
    np.testing.assert_array_equal(scene.values, VALUES)
    assert scene.wavelength.values.tolist() == NM


def _zip() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.txt", "x")
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.zip", _zip(), "a ZIP archive: unpack it first"),
        ("a.grib", b"GRIB" + b"\0" * 40, "a GRIB file: install the xarray engine cfgrib"),
        ("a.sid", b"msid" + b"\0" * 40, "a MrSID file: convert it with a GDAL"),
        ("a.ecw", b"\0" * 40, "an ECW file: convert it with a GDAL"),
        ("a.pkl", b"\x80\x04" + b"\0" * 40, "a Python pickle: it could run any program"),
        ("a.pdf", b"%PDF-1.7 " + b"\0" * 40, "a PDF: export the image"),
    ],
)
def test_foreign_formats_are_named(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said) as error:
        open_scene(tmp_path / name)
    assert "damaged" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [("a.nc", "it is a PNG: give it the extension .png"), ("a.mat", "it is a PNG"), ("a.h5", "it is a PNG")],
)
def test_sound_file_of_another_kind_is_not_damaged(tmp_path: Path, name: str, said: str) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / name)
    with pytest.raises(InputError, match=said) as error:
        open_scene(tmp_path / name)
    assert "damaged" not in str(error.value)


def test_missing_filter_of_hdf5_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4, 6, 5))
        plist.set_filter(32999, h5py.h5z.FLAG_OPTIONAL)  # a number that no plugin has
        space = h5py.h5s.create_simple((4, 6, 5))
        dataset = h5py.h5d.create(file.id, b"cube", h5py.h5t.NATIVE_FLOAT, space, plist)
        dataset.write_direct_chunk((0, 0, 0), VALUES.tobytes())
    with pytest.raises(InputError, match="not installed; install hdf5plugin") as error:
        open_scene(tmp_path / "a.h5").load()
    assert "damaged" not in str(error.value)


def test_raw_photograph(tmp_path: Path) -> None:
    """A DNG made here: a bare mosaic of one colour temperature, developed without a curve."""
    rawpy = pytest.importorskip("rawpy")
    assert rawpy.libraw_version
    import tifffile

    mosaic = np.full((64, 96), 8192, np.uint16)
    mosaic[:, 48:] = 32768
    identity = np.array([1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1], np.int32).reshape(-1)
    tags = [
        (50706, "B", 4, bytes([1, 4, 0, 0]), True),  # DNGVersion
        (50708, "s", 0, "Made", True),  # UniqueCameraModel
        (33421, "H", 2, (2, 2), True),  # CFARepeatPatternDim
        (33422, "B", 4, bytes([0, 1, 1, 2]), True),  # CFAPattern RGGB
        (50721, "2i", 9, tuple(identity.tolist()), True),  # ColorMatrix1
        (50728, "2I", 3, (1, 1, 1, 1, 1, 1), True),  # AsShotNeutral
        (50717, "I", 1, 65535, True),  # WhiteLevel
        (50778, "H", 1, 21, True),  # CalibrationIlluminant1 D65
    ]
    tifffile.imwrite(tmp_path / "a.dng", mosaic, photometric=32803, extratags=tags, metadata=None)
    scene = open_scene(tmp_path / "a.dng")
    assert scene.shape == (3, 64, 96)
    left, right = scene.values[:, 32, 20], scene.values[:, 32, 80]
    np.testing.assert_allclose(right / left, 4, rtol=0.01)  # light is proportional: no curve


def test_only_what_is_read_of_an_archive_has_to_fit(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in (("cube", VALUES), ("notes", np.array([{"a": 1}], dtype=object))):
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, array, allow_pickle=True)
        with archive.open("weights.npy", "w") as file:
            shape = {"descr": "|u1", "fortran_order": False, "shape": (300, 10**6)}
            np.lib.format.write_array_header_1_0(file, shape)
            for _ in range(300):
                file.write(bytes(10**6))
    np.testing.assert_array_equal(load_scene(path, variable="cube").values, VALUES)
    with pytest.raises(InputError, match=r"cannot read weights of .* unpacks to 286 MB"):
        load_scene(path, variable="weights", full_scale=1)
    np.savez(path, cube=VALUES, notes=np.array([{"a": 1}], dtype=object))
    np.testing.assert_array_equal(load_scene(path).values, VALUES)


@pytest.mark.filterwarnings("error::ResourceWarning")
@pytest.mark.parametrize("damage", ["cut", "other bytes"])
def test_a_damaged_archive_of_arrays_is_said_to_be_damaged(damage: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", cube=VALUES)
    whole = (tmp_path / "a.npz").read_bytes()
    half = len(whole) // 2
    (tmp_path / "a.npz").write_bytes(whole[:half] + (b"" if damage == "cut" else b"\xff" * 4 + whole[half + 4 :]))
    with pytest.raises(InputError, match="the file is damaged, truncated or of another kind"):
        load_scene(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["a.npz", "a.npy"])
def test_workers_of_dask_read_numpy_files(name: str, tmp_path: Path) -> None:
    save = np.savez_compressed if name == "a.npz" else np.save
    save(tmp_path / name, VALUES)
    scene = open_scene(tmp_path / name, chunks={"y": 3})
    sent = cloudpickle.dumps(scene)
    np.testing.assert_array_equal(cloudpickle.loads(sent).values, VALUES)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("version", [2, 3])
def test_only_what_is_read_of_a_store_has_to_fit(named: bool, version: Any, tmp_path: Path) -> None:
    store = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=version)
    more = {"dimension_names": ("band", "y", "x")} if named and version == 3 else {}
    cube = store.create_array("cube", shape=VALUES.shape, chunks=VALUES.shape, dtype="f4", **more)
    cube[...] = VALUES + 1  # 0 is the fill value
    for name, chunk in (("weights", 2**14), ("masks", 2**16)):
        axes = {"dimension_names": ("row", "column")} if named and version == 3 else {}
        other = store.create_array(name, shape=(8, 8), chunks=(chunk, chunk), dtype="f8", **axes)
        if named and version == 2:
            other.attrs["_ARRAY_DIMENSIONS"] = ["row", "column"]
    if named and version == 2:
        cube.attrs["_ARRAY_DIMENSIONS"] = ["band", "y", "x"]
    np.testing.assert_array_equal(load_scene(tmp_path / "a.zarr").values, VALUES + 1)
    for name, why in (("weights", "far larger than the array"), ("masks", "larger than memory should hold")):
        with pytest.raises(InputError, match=rf"cannot read {name} of .*{why}; save it in smaller chunks"):
            load_scene(tmp_path / "a.zarr", variable=name, full_scale=1)


def test_axes_of_one_of_bare_arrays_are_left_out(tmp_path: Path) -> None:
    """A batch of one, as PyTorch has them, a time, a depth."""
    np.save(tmp_path / "a.npy", VALUES[None])
    np.save(tmp_path / "b.npy", VALUES.transpose(1, 2, 0)[None, :, :, None])
    store = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    store.create_array("0", shape=(1, 4, 1, 6, 5), dtype="f4", fill_value=-1)[...] = VALUES[None, :, None]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["cube"] = VALUES[None]
    for name, options in (("a.npy", {}), ("b.npy", {"band_axis": 4}), ("a.zarr", {}), ("a.h5", {"band_axis": 1})):
        np.testing.assert_array_equal(open_scene(tmp_path / name, **options).values, VALUES, err_msg=name)
    part = open_scene(tmp_path / "a.zarr").isel(y=slice(1, 4), x=[4, 2]).values
    np.testing.assert_array_equal(part, VALUES[:, 1:4, [4, 2]])
    np.save(tmp_path / "c.npy", np.stack([VALUES, VALUES]))
    with pytest.raises(InputError, match="no 3-D array"):
        open_scene(tmp_path / "c.npy")
