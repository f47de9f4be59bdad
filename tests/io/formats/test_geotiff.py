"""GeoTIFF, checked against rasterio and the metadata that other programs write."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine, from_origin

from finewave.errors import InputError
from finewave.io.formats import geotiff
from finewave.io.open_save import load_scene, open_scene, save_scene
from finewave.scene import make_scene, scene_crs, scene_transform
from finewave.warnings import FinewaveWarning
from tests.io.scene_helpers import TRANSFORM, WAVELENGTHS, full_scene


def write(path: Path, values: np.ndarray, **profile: object) -> rasterio.io.DatasetWriter:
    bands, height, width = values.shape
    profile = {"crs": "EPSG:32631", "transform": from_origin(5e5, 4e6, 10, 10)} | profile
    dataset = rasterio.open(
        path, "w", driver="GTiff", count=bands, height=height, width=width, dtype=values.dtype, **profile
    )
    dataset.write(values)
    return dataset


VALUES = np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 3, 4)


def test_rasterio_finds_everything(tmp_path: Path) -> None:
    scene = full_scene()
    save_scene(scene, tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(), scene.values)
        assert dataset.crs.to_epsg() == 32631
        assert tuple(dataset.transform)[:6] == TRANSFORM
        assert dataset.descriptions == ("blue", "green", "red edge", "swir 1")
        assert np.isnan(dataset.nodata)
        assert dataset.profile["tiled"]
        assert dataset.compression.value == "DEFLATE"
        assert dataset.tags(1, ns="IMAGERY") == {"CENTRAL_WAVELENGTH_UM": "0.45", "FWHM_UM": "0.01"}
        assert dataset.tags(2) == {
            "wavelength": "550.25",
            "wavelength_units": "nm",
            "fwhm": "12.5",
            "bbl": "1",
        }
        assert [dataset.tags(i)["bbl"] for i in dataset.indexes] == ["1", "1", "0", "1"]
        assert json.loads(dataset.tags()["card"]) == scene.attrs["card"]
        assert dataset.tags()["sensor"] == "tester"


def test_bands_without_names_are_described_by_wavelength(tmp_path: Path) -> None:
    save_scene(make_scene(VALUES, [500.5, 600]), tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert dataset.descriptions == ("500.5 nm", "600.0 nm")
    assert "band_name" not in open_scene(tmp_path / "a.tif").coords


def test_scaled_integers_as_rasterio_sees_them(tmp_path: Path) -> None:
    save_scene(full_scene(), tmp_path / "a.tif", dtype="uint16", full_scale=10000, nodata=0)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert set(dataset.dtypes) == {"uint16"}
        assert dataset.nodata == 0
        assert dataset.scales == (0.0001,) * 4
        assert dataset.read(1)[2, 3] == 0
        assert dataset.read(1)[0, 1] == round(10000 / 256)


@pytest.mark.parametrize("interleave", ["band", "pixel"])
def test_how_the_file_in_between_is_packed_changes_nothing(
    interleave: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read once; the file that is made of it is compressed either way, overviews included."""
    smooth = np.linspace(0, 1, 600 * 530, dtype=np.float32).reshape(600, 530)
    scene = make_scene(np.stack([smooth, smooth[::-1], smooth**2]), wavelengths=[450, 550, 650])
    contents = []
    for limit in (0, 2**30):
        monkeypatch.setattr(geotiff, "_UNPACKED", limit)
        save_scene(scene, tmp_path / "a.tif", cog=True, interleave=interleave)
        with rasterio.open(tmp_path / "a.tif") as dataset:
            contents.append(dataset.read())
            assert dataset.compression.value == "DEFLATE"
            assert dataset.overviews(1) == [2]
        with rasterio.open(tmp_path / "a.tif", overview_level=0) as overview:
            contents.append(overview.read())
            assert overview.compression.value == "DEFLATE"
            assert overview.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "3"
    np.testing.assert_array_equal(contents[0], scene.values)
    np.testing.assert_array_equal(contents[0], contents[2])
    np.testing.assert_array_equal(contents[1], contents[3])


def test_cloud_optimised(tmp_path: Path) -> None:
    save_scene(full_scene(), tmp_path / "a.tif", cog=True)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


@pytest.mark.parametrize(
    "wavelengths_in",
    ["imagery", "nm tags", "um tags", "upper-case tags", "names", "envi list"],
)
def test_wavelengths_where_others_write_them(tmp_path: Path, wavelengths_in: str) -> None:
    with write(tmp_path / "a.tif", VALUES) as dataset:
        for index, nm in zip(dataset.indexes, (490, 842.5), strict=True):
            if wavelengths_in == "imagery":
                dataset.update_tags(index, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=nm / 1000, FWHM_UM=0.02)
            elif wavelengths_in == "nm tags":
                dataset.update_tags(index, wavelength=nm, wavelength_units="Nanometers", fwhm=20)
            elif wavelengths_in == "um tags":
                dataset.update_tags(index, wavelength=nm / 1000, fwhm=0.02)
            elif wavelengths_in == "upper-case tags":
                dataset.update_tags(index, WAVELENGTH=nm / 1000, WAVELENGTH_UNITS="Micrometers", FWHM=0.02)
            elif wavelengths_in == "names":
                dataset.set_band_description(index, f"band {index} ({nm / 1000} Micrometers)")
        if wavelengths_in == "envi list":
            dataset.update_tags(ns="ENVI", wavelength="{490, 842.5}", wavelength_units="Nanometers", fwhm="{20, 20}")
    scene = open_scene(tmp_path / "a.tif")
    np.testing.assert_allclose(scene.coords["wavelength"], [490, 842.5], rtol=1e-12)
    assert scene.coords["wavelength"].dtype == np.float64
    if wavelengths_in != "names":
        np.testing.assert_allclose(scene.coords["fwhm"], [20, 20], rtol=1e-12)


def test_a_wavelength_for_some_bands_only_is_none(tmp_path: Path) -> None:
    with write(tmp_path / "a.tif", VALUES) as dataset:
        dataset.update_tags(1, wavelength=500)
    assert "wavelength" not in open_scene(tmp_path / "a.tif").coords


def test_scale_and_offset_of_each_band(tmp_path: Path) -> None:
    numbers = np.full((2, 3, 4), 100, np.int16)
    numbers[:, 0, 0] = -999
    with write(tmp_path / "a.tif", numbers, nodata=-999) as dataset:
        dataset.scales, dataset.offsets = (0.001, 0.01), (0.5, -0.5)
    scene = open_scene(tmp_path / "a.tif")
    np.testing.assert_allclose(scene.values[:, 1, 1], [0.6, 0.5], rtol=1e-6)
    np.testing.assert_allclose(scene.isel(band=1).values[1, 1], 0.5, rtol=1e-6)
    assert np.isnan(scene.values[:, 0, 0]).all()


def test_float_nodata(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[0, 0, 0] = np.finfo(np.float32).min
    write(tmp_path / "a.tif", values, nodata=float(np.finfo(np.float32).min)).close()
    scene = open_scene(tmp_path / "a.tif")
    assert np.isnan(scene.values[0, 0, 0])
    assert np.isnan(scene.values).sum() == 1
    save_scene(scene, tmp_path / "b.tif")
    with rasterio.open(tmp_path / "b.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(), values)


def test_rotated_transform(tmp_path: Path) -> None:
    rotated = Affine.translation(5e5, 4e6) @ Affine.rotation(30) @ Affine.scale(10, -10)
    write(tmp_path / "a.tif", VALUES, transform=rotated).close()
    scene = open_scene(tmp_path / "a.tif")
    assert scene_transform(scene).almost_equals(rotated, precision=1e-9)
    assert "x" not in scene.coords
    save_scene(scene, tmp_path / "b.tif")
    with rasterio.open(tmp_path / "b.tif") as dataset:
        assert dataset.transform.almost_equals(rotated, precision=1e-9)


def test_ground_control_points(tmp_path: Path) -> None:
    from rasterio.control import GroundControlPoint

    points = [GroundControlPoint(r, c, 10 + c, 50 - r) for r, c in ((0, 0), (0, 4), (3, 0))]
    with rasterio.open(
        tmp_path / "a.tif",
        "w",
        driver="GTiff",
        count=2,
        height=3,
        width=4,
        dtype="float32",
        gcps=points,
        crs="EPSG:4326",
    ) as dataset:
        dataset.write(VALUES)
    save_scene(open_scene(tmp_path / "a.tif"), tmp_path / "b.tif")
    with rasterio.open(tmp_path / "b.tif") as dataset:
        kept, crs = dataset.gcps
        assert [(p.row, p.col, p.x, p.y) for p in kept] == [(p.row, p.col, p.x, p.y) for p in points]
        assert crs.to_epsg() == 4326


def test_point_rasters_stay_point_rasters(tmp_path: Path) -> None:
    with write(tmp_path / "a.tif", VALUES) as dataset:
        dataset.update_tags(AREA_OR_POINT="Point")
    scene = open_scene(tmp_path / "a.tif")
    save_scene(scene, tmp_path / "b.tif")
    with rasterio.open(tmp_path / "a.tif") as first, rasterio.open(tmp_path / "b.tif") as second:
        assert second.tags()["AREA_OR_POINT"] == "Point"
        assert second.transform == first.transform


def test_old_notes_beside_a_replaced_file_go(tmp_path: Path) -> None:
    save_scene(full_scene(), tmp_path / "a.tif")
    (tmp_path / "a.tif.aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="1"><Description>old</Description></PAMRasterBand></PAMDataset>'
    )
    save_scene(full_scene(), tmp_path / "a.tif")
    assert open_scene(tmp_path / "a.tif").coords["band_name"].values[0] == "blue"


class TestPhotographOrMeasurement:
    BYTES = np.full((3, 4, 5), 128, np.uint8)

    def plain(self, path: Path, values: np.ndarray, **profile: object) -> rasterio.io.DatasetWriter:
        return write(path, values, **({"crs": None, "transform": None} | profile))

    def test_plain_rgb_bytes_are_a_photograph(self, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
        self.plain(tmp_path / "a.tif", self.BYTES, photometric="rgb").close()
        scene = open_scene(tmp_path / "a.tif")
        # IEC 61966-2-1: ((128/255 + 0.055) / 1.055) ** 2.4
        np.testing.assert_allclose(scene.values, 0.2158605, atol=1e-6)
        assert scene.attrs["sensor"] == "srgb"
        assert list(scene.coords["band_name"].values) == ["R", "G", "B"]
        np.testing.assert_allclose(open_scene(tmp_path / "a.tif", linearise=False).values, 128 / 255, atol=1e-7)
        assert [each for each in recwarn if each.category is FinewaveWarning] == []

    def test_transparency_is_left_out(self, tmp_path: Path) -> None:
        values = np.concatenate([self.BYTES, self.BYTES[:1]])
        self.plain(tmp_path / "a.tif", values, photometric="rgb", alpha="yes").close()
        assert open_scene(tmp_path / "a.tif").shape == (3, 4, 5)

    @pytest.mark.parametrize("what", ["georeference", "wavelengths", "stated", "float", "four bands", "two bands"])
    def test_anything_else_is_a_measurement(self, tmp_path: Path, what: str) -> None:
        values = self.BYTES.astype(np.float32) / 255 if what == "float" else self.BYTES
        values = {"four bands": np.concatenate([values, values[:1]]), "two bands": values[:2]}.get(what, values)
        profile = {"crs": "EPSG:32631", "transform": from_origin(0, 0, 1, 1)} if what == "georeference" else {}
        if what == "four bands":
            profile["photometric"] = "minisblack"
        with self.plain(tmp_path / "a.tif", values, **profile) as dataset:
            if what == "wavelengths":
                for i in dataset.indexes:
                    dataset.update_tags(i, wavelength=400 + i)
        stated = {"wavelengths": [450, 550, 650]} if what == "stated" else {}
        if what == "float":
            scene = open_scene(tmp_path / "a.tif")
        else:
            with pytest.warns(FinewaveWarning, match="assumed that 255"):
                scene = open_scene(tmp_path / "a.tif", **stated)
        np.testing.assert_allclose(scene.values, 128 / 255, atol=1e-7)
        assert "sensor" not in scene.attrs


def test_written_in_windows_larger_than_a_tile(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scene = make_scene(rng.random((2, 530, 300), np.float32), WAVELENGTHS[:2])
    scene.encoding["preferred_chunks"] = {"y": 200, "x": 200}
    save_scene(scene, tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(), scene.values)


def test_large_sample_for_the_assumed_scale(tmp_path: Path) -> None:
    numbers = np.full((1, 700, 600), 3000, np.uint16)
    numbers[0, 600:] = 50000
    write(tmp_path / "a.tif", numbers).close()
    with pytest.warns(FinewaveWarning, match="assumed that 65535"):
        open_scene(tmp_path / "a.tif")


def test_mixed_types_are_refused(tmp_path: Path) -> None:
    content = (
        '<VRTDataset rasterXSize="4" rasterYSize="3"><VRTRasterBand dataType="Byte" band="1"/>'
        '<VRTRasterBand dataType="Float32" band="2"/></VRTDataset>'
    )
    (tmp_path / "a.vrt").write_text(content)
    with pytest.raises(InputError, match="mixes value types"):
        open_scene(tmp_path / "a.vrt")


@pytest.mark.parametrize("dtype", ["complex64", "complex_int16"])
def test_complex_values_are_refused(dtype: str, tmp_path: Path) -> None:
    with rasterio.open(
        tmp_path / "a.tif", "w", "GTiff", 4, 3, 2, dtype=dtype, transform=from_origin(5e5, 4e6, 10, 10)
    ) as dataset:
        dataset.write(VALUES.astype(np.complex64))
    with pytest.raises(InputError, match="holds complex64 values"):
        open_scene(tmp_path / "a.tif")


# No shrinking: every example writes files.
@settings(max_examples=15, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(
    origin=st.tuples(st.floats(-1e6, 1e6), st.floats(-1e7, 1e7)),
    pixel=st.floats(0.01, 1000),
    wavelengths=st.lists(st.floats(100, 15000), min_size=2, max_size=2, unique=True),
)
def test_numbers_survive(
    tmp_path_factory: pytest.TempPathFactory,
    origin: tuple[float, float],
    pixel: float,
    wavelengths: list[float],
) -> None:
    path = tmp_path_factory.mktemp("numbers") / "a.tif"
    transform = (pixel, 0.0, origin[0], 0.0, -pixel, origin[1])
    save_scene(make_scene(VALUES, wavelengths, crs="EPSG:32631", transform=transform), path)
    scene = load_scene(path)
    np.testing.assert_allclose(tuple(scene_transform(scene))[:6], transform, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(scene.coords["wavelength"], wavelengths, rtol=0, atol=1e-9)
    assert scene_crs(scene).to_epsg() == 32631
