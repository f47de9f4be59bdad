"""Files whose metadata are none, or that lead elsewhere: refused in one line, or read right."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

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

    from finewave.io.usable import usable
    from finewave.scene import with_georeference

    scene = xr.DataArray(np.zeros((2, 4, 4), np.float32), dims=("band", "y", "x"))
    placed = with_georeference(scene, "EPSG:32632", transform)
    with pytest.warns(FinewaveWarning, match="leads nowhere"):
        opened = usable(placed, tmp_path / "a.tif")
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
def test_attributes_nested_without_end() -> None:
    scene = load_scene(CASES / "nest.zarr")
    assert scene.shape == (3, 16, 16)
    assert 0 < float(scene.mean()) < 1
