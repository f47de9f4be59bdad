"""Files whose metadata are none, or that lead elsewhere: refused in one line, or read right."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from PIL import Image

from finewave.errors import InputError
from finewave.io.open_save import load_scene, open_scene
from finewave.scene import scene_transform
from finewave.warnings import FinewaveWarning

CASES = Path(os.environ.get("FINEWAVE_CASES", Path(__file__).parents[3] / "shared" / "cases")) / "hostile"


def tif(path: Path, scale: float = 1.0, offset: float = 0.0, wavelengths: tuple[str, ...] = ()) -> Path:
    values = np.random.default_rng(1).integers(1, 9000, (3, 16, 16)).astype(np.uint16)
    profile = {"driver": "GTiff", "dtype": "uint16", "count": 3, "height": 16, "width": 16}
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(values)
        dataset.scales, dataset.offsets = (scale,) * 3, (offset,) * 3
        for band, wavelength in enumerate(wavelengths, start=1):
            dataset.update_tags(band, wavelength=wavelength, wavelength_units="nm")
    return path


@pytest.mark.parametrize("scale", [0.0, float("nan"), float("inf")])
def test_scale_factors_that_are_none(scale: float, tmp_path: Path) -> None:
    path = tif(tmp_path / "a.tif", scale)
    with pytest.raises(InputError, match=r"a\.tif states the scale factor .*--full-scale") as refused:
        open_scene(path)
    assert "\n" not in str(refused.value)
    stated = open_scene(path, full_scale=10000)
    assert 0 < float(stated.max()) < 1


def test_offsets_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="states the offset nan"):
        open_scene(tif(tmp_path / "a.tif", 1e-4, float("nan")))


def test_bytes_that_are_not_scans_of_a_jpeg_are_not_counted(tmp_path: Path) -> None:
    """A camera's own segments, and the film behind a photograph, hold any bytes."""
    path = tmp_path / "a.jpg"
    Image.new("RGB", (64, 64), (90, 120, 60)).save(path, progressive=True)
    content, scans = path.read_bytes(), b"\xff\xda" * 600
    own = b"\xff\xef" + (len(scans) + 2).to_bytes(2, "big") + scans
    path.write_bytes(content[:2] + own + content[2:] + scans)
    assert open_scene(path).shape == (3, 64, 64)
    last = content.rindex(b"\xff\xda")
    path.write_bytes(content[:2] + own + content[2:last] + content[last:-2] * 600 + b"\xff\xd9" + scans)
    with pytest.raises(InputError, match=r"it has 60\d scans, more than 500"):
        open_scene(path)


@pytest.mark.parametrize("name", ["scale_factor", "add_offset"])
def test_the_same_of_netcdf(name: str, tmp_path: Path) -> None:
    import h5netcdf

    with h5netcdf.File(tmp_path / "a.nc", "w") as file:
        file.dimensions = {"band": 3, "y": 8, "x": 8}
        image = file.create_variable("image", ("band", "y", "x"), np.uint16, data=np.ones((3, 8, 8), np.uint16))
        image.attrs[name] = np.inf
    with pytest.raises(InputError, match=r"states the .* inf"):
        open_scene(tmp_path / "a.nc")


@pytest.mark.parametrize("transform", [(np.nan,) * 6, (0.0, 0, 1, 0, 0, 2), (1.0, 2, 0, 2, 4, 0)])
def test_transforms_that_are_none(transform: tuple[float, ...], tmp_path: Path) -> None:
    import xarray as xr

    from finewave.io.plausibility import drop_implausible
    from finewave.scene import with_georeference

    scene = xr.DataArray(np.zeros((2, 4, 4), np.float32), dims=("band", "y", "x"))
    placed = with_georeference(scene, "EPSG:32632", transform)
    with pytest.warns(FinewaveWarning, match="leads nowhere"):
        opened = drop_implausible(placed, tmp_path / "a.tif")
    assert scene_transform(opened) is None
    assert opened.rio.crs is not None


@pytest.mark.parametrize("wrong", ["nan", "inf", "-inf", "-450", "0"])
def test_wavelengths_that_are_none(wrong: str, tmp_path: Path) -> None:
    path = tif(tmp_path / "a.tif", 1e-4, wavelengths=("450", wrong, "650"))
    with pytest.warns(FinewaveWarning, match="not a wavelength|no wavelength"):
        assert "wavelength" not in open_scene(path).coords


def test_equal_wavelengths(tmp_path: Path) -> None:
    with pytest.warns(FinewaveWarning, match="all of its 3 bands have the wavelength 450 nm"):
        assert "wavelength" not in open_scene(tif(tmp_path / "a.tif", 1e-4, wavelengths=("450",) * 3)).coords
    with pytest.warns(FinewaveWarning, match="some of its bands have the same"):
        opened = open_scene(tif(tmp_path / "b.tif", 1e-4, wavelengths=("450", "450", "650")))
    np.testing.assert_array_equal(opened.wavelength, [450, 450, 650])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_none(value: float, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from finewave.systems.weights import read_weights

    save_file({"a": torch.ones(3), "b.weight": torch.tensor([1.0, value])}, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"model\.safetensors: 'b\.weight' holds NaN or infinity"):
        read_weights(tmp_path / "model.safetensors")


def test_what_a_reader_raises_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from finewave.io.formats import geotiff

    def stumble(*_: object) -> None:
        raise IndexError("list index\nout of range")

    monkeypatch.setattr(geotiff, "open_file", stumble)
    with pytest.raises(InputError, match=r"a\.tif as GeoTIFF: .* \(list index out of range\)") as refused:
        open_scene(tif(tmp_path / "a.tif"))
    assert "\n" not in str(refused.value)


REFUSED = ("badcrs.mat", "huge_shape.mat", "idx.SAFE", "id99.SAFE", "off.SAFE", "scale_inf.tif", "scale_nan.tif")
REFUSED += ("scale_zero.tif", "nc_scaleinf.nc", "objects.mat")
SAID = {"transform_nan.tif": "leads nowhere"} | dict.fromkeys(
    ("wl_nan.tif", "wl_inf.tif", "wl_neg.tif", "neg_wl.h5"), "not a wavelength"
)

ENDED = {"segfault.mat": "crashed", "hang.nc": "did not come back"}


@pytest.mark.skipif(not CASES.is_dir(), reason=f"there is no folder {CASES}")
@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_cases_that_are_refused(name: str) -> None:
    with pytest.raises(InputError) as refused:
        load_scene(CASES / name)
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(not CASES.is_dir(), reason=f"there is no folder {CASES}")
@pytest.mark.parametrize("name", SAID)
def test_cases_that_are_read_with_a_word(name: str) -> None:
    with pytest.warns(FinewaveWarning, match=SAID[name]):
        scene = load_scene(CASES / name)
    assert scene.shape == (3, 16, 16)
    assert "wavelength" not in scene.coords
    assert (scene_transform(scene) is None) == name.startswith(("transform", "neg"))
    assert 0 < float(scene.mean()) < 1


@pytest.mark.skipif(not CASES.is_dir(), reason=f"there is no folder {CASES}")
def test_every_case_has_its_answer() -> None:
    answered = {*REFUSED, *SAID, "nest.zarr", *ENDED}
    assert {each.name for each in CASES.iterdir()} - {"README.md"} == answered


@pytest.mark.skipif(not CASES.is_dir(), reason=f"there is no folder {CASES}")
def test_attributes_nested_without_end() -> None:
    scene = load_scene(CASES / "nest.zarr")
    assert scene.shape == (3, 16, 16)
    assert 0 < float(scene.mean()) < 1


@pytest.mark.skipif(not CASES.is_dir(), reason=f"there is no folder {CASES}")
@pytest.mark.parametrize(("name", "words"), ENDED.items())
def test_cases_that_end_a_library(name: str, words: str) -> None:
    with pytest.raises(InputError, match=rf"{name} .*the library that reads it {words}"):
        load_scene(CASES / name)


def secret_of(folder: Path) -> Path:
    """A file of this machine that the maker of the scene must not read."""
    path = folder / "secret.raw"
    np.arange(3 * 16 * 16, dtype=np.float32).tofile(path)
    return path


@pytest.mark.parametrize("extension", [".tif", ".img", ".dat", ".png", ".jp2", ".nc", ".h5", ".bmp", ".ntf"])
@pytest.mark.parametrize("kind", ["vrt", "wms"])
def test_texts_that_gdal_would_follow(kind: str, extension: str, tmp_path: Path) -> None:
    other = tif(tmp_path / "other.tif", 1e-4)
    path = tmp_path / f"scene{extension}"
    path.write_text(
        "<VRTDataset rasterXSize='16' rasterYSize='16'><VRTRasterBand dataType='UInt16' band='1'><SimpleSource>"
        f"<SourceFilename>{other}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
        if kind == "vrt"
        else "<GDAL_WMS><Service name='TMS'><ServerUrl>http://127.0.0.1:9/${z}/${x}/${y}</ServerUrl></Service>"
        "<DataWindow><SizeX>16</SizeX><SizeY>16</SizeY></DataWindow><BandsCount>1</BandsCount></GDAL_WMS>"
    )
    if extension in (".img", ".dat"):
        path.with_suffix(".hdr").write_text("ENVI\nsamples = 16\n")  # a header that holds nothing
    with pytest.raises(InputError):
        load_scene(path)


def test_a_virtual_raster_by_its_name_is_followed(tmp_path: Path) -> None:
    other = tif(tmp_path / "other.tif", 1e-4)
    (tmp_path / "scene.vrt").write_text(
        "<VRTDataset rasterXSize='16' rasterYSize='16'><VRTRasterBand dataType='UInt16' band='1'><SimpleSource>"
        f"<SourceFilename>{other}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    np.testing.assert_array_equal(
        load_scene(tmp_path / "scene.vrt", full_scale=1).values[0], load_scene(other, full_scale=1).values[0]
    )


@pytest.mark.parametrize("extension", [".h5", ".nc", ".mat"])
@pytest.mark.parametrize("kind", ["external storage", "virtual", "link"])
def test_hdf5_that_lies_elsewhere(kind: str, extension: str, tmp_path: Path) -> None:
    import h5py

    secret = secret_of(tmp_path)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["cube"] = np.ones((3, 16, 16), np.float32)
    path = tmp_path / f"scene{extension}"
    with h5py.File(path, "w", userblock_size=512 if extension == ".mat" else 0) as file:
        group = file.create_group("a/b")
        if kind == "external storage":
            group.create_dataset("cube", (3, 16, 16), np.float32, external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((3, 16, 16), np.float32)
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "cube", (3, 16, 16))
            group.create_virtual_dataset("cube", layout)
        else:
            group["cube"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "cube")
    with pytest.raises(InputError, match=r"does not hold its own values: .*(secret\.raw|other\.h5)"):
        open_scene(path)


def test_a_file_larger_than_its_bytes(tmp_path: Path) -> None:
    """Sparse TIFFs and Zarr stores say whatever size they like."""
    import zarr

    profile = {"driver": "GTiff", "dtype": "uint16", "count": 1, "height": 65536, "width": 65536, "SPARSE_OK": True}
    with rasterio.open(tmp_path / "sparse.tif", "w", tiled=True, **profile):
        pass
    assert (tmp_path / "sparse.tif").stat().st_size < 2e6
    zarr.create_array(tmp_path / "sparse.zarr", shape=(3, 10**6, 10**6), chunks=(1, 100, 100), dtype="u2")
    zarr.create_array(tmp_path / "chunk.zarr", shape=(3, 10, 10), chunks=(3, 10**5, 10**5), dtype="u2")
    for name, words in (
        ("sparse.tif", "says that it holds"),
        ("sparse.zarr", "says that it holds"),
        ("chunk.zarr", "its chunks of"),
    ):
        with pytest.raises(InputError, match=words):
            open_scene(tmp_path / name)


def test_a_process_that_looks_is_one_and_ends(tmp_path: Path) -> None:
    """The reader of MATLAB files is started once, again after a crash, and gone when the program is."""
    import scipy.io

    from finewave.io.isolated import client

    scipy.io.savemat(tmp_path / "a.mat", {"cube": np.ones((4, 5, 3), np.float32)})
    assert load_scene(tmp_path / "a.mat").shape == (3, 4, 5)
    first = client._CAGE._process
    assert first is not None
    assert load_scene(tmp_path / "a.mat").shape == (3, 4, 5)
    assert client._CAGE._process is first
    first.kill()
    first.wait()
    assert load_scene(tmp_path / "a.mat").shape == (3, 4, 5)
    assert client._CAGE._process is not first


def test_every_file_is_opened_by_a_driver_that_is_named() -> None:
    """GDAL without a named driver goes by the content, which may lead to the network."""
    import finewave

    for path in Path(finewave.__file__).parent.rglob("*.py"):
        for call in re.findall(r"(?:rasterio\.open|open_rasterio)\([^)]*\)?", path.read_text(encoding="utf-8")):
            written = any(mode in call for mode in ('"w"', '"r+"', "warped", "**"))
            assert written or "driver" in call or "(source" in call, (path.name, call)
