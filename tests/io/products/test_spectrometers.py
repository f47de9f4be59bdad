"""Products of imaging spectrometers, in the documented layouts; EnMAP with the pixels of real tiles, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np
import pytest
import rasterio
import xarray as xr

from finewave.control_points import control_points
from finewave.errors import InputError
from finewave.io.open_save import open_scene, save_scene
from finewave.scene import scene_crs, scene_transform
from finewave.warnings import FinewaveWarning

UTM = {"crs": "EPSG:32633", "transform": rasterio.Affine(30, 0, 366015, 0, -30, 5809965)}


def assert_survives(scene: xr.DataArray, tmp_path: Path) -> None:
    """What a product says about itself is still there after a round trip through three formats."""
    for extension in ("tif", "nc", "img"):
        save_scene(scene, tmp_path / f"round.{extension}")
        again = open_scene(tmp_path / f"round.{extension}")
        np.testing.assert_allclose(again.values, scene.values, atol=1e-6)
        for name in ("wavelength", "fwhm", "good_band"):
            assert (name in again.coords) == (name in scene.coords), (extension, name)
            if name in scene.coords:
                np.testing.assert_allclose(again[name].values, scene[name].values, rtol=1e-12)
        for name in ("sensor", "product", "quantity"):
            assert again.attrs[name] == scene.attrs[name], (extension, name)
        assert scene_crs(again) == scene_crs(scene)
        assert scene_transform(again) == scene_transform(scene)
        assert len(control_points(again)) == len(control_points(scene))


class TestEnmap:
    STEM = "ENMAP01-____L2A-DT0000001867_20220724T104526Z_008_V010302_20230628T165614Z"

    @staticmethod
    def xml(bands: list[tuple[float, float]], gain: str = "0.0001", missing: int | None = None) -> str:
        listed = "".join(
            f'<bandID number="{i}"><wavelengthCenterOfBand>{c}</wavelengthCenterOfBand><FWHMOfBand>{w}</FWHMOfBand>'
            f"<GainOfBand>{gain}</GainOfBand><OffsetOfBand>0</OffsetOfBand></bandID>"
            for i, (c, w) in enumerate(bands, start=1)
        )
        expected = ",".join(str(i) for i in range(1, len(bands) + 1) if i != missing)
        return (
            f"<level_X><specific><bandCharacterisation>{listed}</bandCharacterisation>"
            f"<vnirProductQuality><expectedChannelsList>{expected}</expectedChannelsList></vnirProductQuality>"
            "</specific></level_X>"
        )

    @pytest.mark.cases
    def test_case(self, cases: Path) -> None:
        scene = open_scene(cases / "F9_enmap_product")
        assert scene.shape == (8, 20, 22)
        assert scene.wavelength.values.tolist() == list(range(420, 500, 10))
        assert scene.fwhm.values.tolist() == [7] * 8
        assert float(scene.max()) <= 0.4
        assert scene.attrs["sensor"] == "enmap"
        assert scene_crs(scene).to_epsg() == 32631
        file = next((cases / "F9_enmap_product").glob("*METADATA.XML"))
        np.testing.assert_array_equal(open_scene(file).values, scene.values)

    @pytest.mark.data
    def test_every_real_tile(self, real_images: Path) -> None:
        tiles = sorted((real_images / "enmap").glob("*.tif"))
        assert len(tiles) == 14
        for tile in tiles:
            scene = open_scene(tile)
            with rasterio.open(tile) as file:
                stored = file.read().astype(np.float64)
                nodata = file.nodata
                centres = [float(file.tags(i)["wavelength"]) for i in file.indexes]
                widths = [float(file.tags(i)["fwhm"]) for i in file.indexes]
                good = [file.tags(i)["bbl"] == "1" for i in file.indexes]
                scales, transform, crs = np.array(file.scales), file.transform, file.crs
            assert scene.shape == (224, 32, 32)
            expected = np.where(stored == nodata, np.nan, stored * scales[:, None, None])
            np.testing.assert_allclose(scene.values, expected, atol=1e-6)
            np.testing.assert_allclose(scene.wavelength.values, centres)
            np.testing.assert_allclose(scene.fwhm.values, widths)
            assert scene.good_band.values.tolist() == good
            assert (scene_crs(scene), scene_transform(scene)) == (crs, transform)

    @pytest.mark.data
    def test_product_of_real_pixels(self, real_images: Path, tmp_path: Path) -> None:
        tile = sorted((real_images / "enmap").glob("*.tif"))[0]
        expected = open_scene(tile)
        with rasterio.open(tile) as file:
            stored = file.read()
        bands = list(zip(expected.wavelength.values, expected.fwhm.values, strict=True))
        profile = {**UTM, "count": 224, "height": 32, "width": 32, "dtype": "int16", "nodata": -32768}
        with rasterio.open(tmp_path / f"{self.STEM}-SPECTRAL_IMAGE.TIF", "w", driver="GTiff", **profile) as file:
            file.write(np.rint(stored).astype(np.int16))
        (tmp_path / f"{self.STEM}-METADATA.XML").write_text(self.xml(bands, missing=131))
        scene = open_scene(tmp_path)
        np.testing.assert_allclose(scene.values, expected.values, atol=0.000051)
        np.testing.assert_array_equal(np.isnan(scene.values), np.isnan(expected.values))
        np.testing.assert_allclose(scene.wavelength.values, expected.wavelength.values)
        np.testing.assert_allclose(scene.fwhm.values, expected.fwhm.values)
        assert np.flatnonzero(~scene.good_band.values).tolist() == [130]
        assert scene_transform(scene) == UTM["transform"]
        assert_survives(scene, tmp_path)

    def test_two_images_are_refused_by_name(self, tmp_path: Path) -> None:
        for part in ("VNIR", "SWIR"):
            (tmp_path / f"ENMAP01-____L1B-DT1_001-SPECTRAL_IMAGE_{part}.TIF").write_bytes(b"x")
        with pytest.raises(InputError, match=r"several spectral images.*_SWIR\.TIF, .*_VNIR\.TIF"):
            open_scene(tmp_path)

    def test_metadata_missing(self, tmp_path: Path) -> None:
        with rasterio.open(
            tmp_path / f"{self.STEM}-SPECTRAL_IMAGE.TIF", "w", "GTiff", 4, 4, 1, dtype="int16", **UTM
        ) as f:
            f.write(np.ones((1, 4, 4), np.int16))
        with pytest.raises(InputError, match=r"lacks its metadata, .*-METADATA\.XML"):
            open_scene(tmp_path)


def test_desis(tmp_path: Path) -> None:
    stem = "DESIS-HSI-L2A-DT0483531728_001-20200804T123618-V0210"
    numbers = np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5) * 100
    numbers[:, 0, 0] = -32768
    profile = {**UTM, "count": 3, "height": 4, "width": 5, "dtype": "int16", "nodata": -32768}
    with rasterio.open(tmp_path / f"{stem}-SPECTRAL_IMAGE.tif", "w", driver="GTiff", **profile) as file:
        file.write(numbers)
    bands = "".join(
        f"<band><bandNumber>{i}</bandNumber><wavelengthCenterOfBand>{c}</wavelengthCenterOfBand>"
        "<wavelengthWidthOfBand>3.5</wavelengthWidthOfBand><response>0,1</response>"
        "<gainOfBand>0.0001</gainOfBand><offsetOfBand>0</offsetOfBand></band>"
        for i, c in ((1, 401.9), (2, 404.6), (3, 407.1))
    )
    # the same tag stands in the geometric part, without wavelengths
    (tmp_path / f"{stem}-METADATA.xml").write_text(
        f'<hsi_doc xmlns="urn:d"><specific><bandCharacterisation>{bands}</bandCharacterisation>'
        "<interiorOrientation><band><bandNumber>1</bandNumber></band></interiorOrientation></specific></hsi_doc>"
    )
    scene = open_scene(tmp_path)
    np.testing.assert_allclose(scene.values[:, 1:], numbers[:, 1:] * 1e-4, atol=1e-7)
    assert np.isnan(scene.values[:, 0, 0]).all()
    assert scene.wavelength.values.tolist() == [401.9, 404.6, 407.1]
    assert scene.fwhm.values.tolist() == [3.5] * 3
    assert (scene.attrs["sensor"], scene.attrs["quantity"]) == ("desis", "reflectance")
    assert_survives(scene, tmp_path)


SCALE = {"L2ScaleVnirMin": 0.1, "L2ScaleVnirMax": 0.9, "L2ScaleSwirMin": 0.0, "L2ScaleSwirMax": 0.5}


class TestPrisma:
    @pytest.mark.cases
    def test_case(self, cases: Path) -> None:
        path = cases / "F10_prisma_he5" / "PRS_L2D_STD.he5"
        scene = open_scene(path)
        with h5py.File(path) as file:
            fields = file["HDFEOS/SWATHS/PRS_L2D_HCO/Data Fields"]
            vnir, swir = fields["VNIR_Cube"][()], fields["SWIR_Cube"][()]
            centres = np.r_[file.attrs["List_Cw_Vnir"], file.attrs["List_Cw_Swir"][:-1]]  # the last one is 0
        reflectance = np.concatenate([vnir / 65535 * 0.9, swir[:, :-1] / 65535 * 0.6], axis=1).transpose(1, 0, 2)
        order = np.argsort(centres)
        np.testing.assert_allclose(scene.wavelength.values, centres[order])
        np.testing.assert_allclose(scene.values, reflectance[order], atol=1e-6)
        assert scene_crs(scene).to_epsg() == 32632
        assert tuple(scene_transform(scene))[:6] == (30, 0, 5e5, 0, -30, 44e5)

    def make(self, path: Path, level: str = "L2D", **attrs: Any) -> None:
        rng = np.random.default_rng(4)
        with h5py.File(path, "w") as file:
            for key, value in attrs.items():
                file.attrs[key] = value
            file.attrs["List_Cw_Vnir"] = np.array([0, 900, 600, 401], np.float32)
            file.attrs["List_Fwhm_Vnir"] = np.array([0, 12, 11, 10], np.float32)
            file.attrs["List_Cw_Swir"] = np.array([2400, 1000], np.float32)
            file.attrs["List_Fwhm_Swir"] = np.array([9, 8], np.float32)
            fields = file.create_group(f"HDFEOS/SWATHS/PRS_{level}_HCO/Data Fields")
            for kind, count in (("VNIR", 4), ("SWIR", 2)):
                fields[f"{kind}_Cube"] = rng.integers(0, 65536, (6, count, 7)).astype(np.uint16)
            errors = np.zeros((6, 4, 7), np.uint8)
            errors[0, 1, 0], errors[1, 1, 0], errors[2, 1, 0] = 1, 2, 3
            fields["VNIR_PIXEL_L2_ERR_MATRIX"] = errors
            places = file.create_group(f"HDFEOS/SWATHS/PRS_{level}_HCO/Geolocation Fields")
            y, x = np.mgrid[0:6, 0:7]
            places["Latitude"], places["Longitude"] = 45.0 - 0.001 * y, 9.0 + 0.001 * x

    @pytest.mark.parametrize(("far", "left"), [(5e5 + 7 * 30, 5e5), (5e5 + 6 * 30, 5e5 - 15)])
    def test_corners_and_masks(self, tmp_path: Path, far: float, left: float) -> None:
        corners = {
            "Epsg_Code": 32632, "Product_ULcorner_easting": 5e5, "Product_ULcorner_northing": 44e5,
            "Product_LRcorner_easting": far, "Product_LRcorner_northing": 44e5 - (far - 5e5 - 30),
        }  # fmt: skip
        self.make(tmp_path / "PRS_L2D_STD.he5", **SCALE, **corners)
        scene = open_scene(tmp_path / "PRS_L2D_STD.he5")
        assert scene.wavelength.values.tolist() == [401, 600, 900, 1000, 2400]
        assert scene.fwhm.values.tolist() == [10, 11, 12, 8, 9]
        assert scene_transform(scene).c == left
        hidden = np.argwhere(np.isnan(scene.values)).tolist()
        assert hidden == [[2, 0, 0], [2, 2, 0]]  # invalid and saturated, not what came out negative
        with h5py.File(tmp_path / "PRS_L2D_STD.he5") as file:
            stored = file["HDFEOS/SWATHS/PRS_L2D_HCO/Data Fields/VNIR_Cube"][3, 2, 4]
        assert float(scene.values[1, 3, 4]) == pytest.approx(0.1 + stored / 65535 * 0.8, abs=1e-6)
        assert_survives(scene, tmp_path)

    def test_swath_has_control_points(self, tmp_path: Path) -> None:
        self.make(tmp_path / "PRS_L2C_STD.he5", "L2C", **SCALE)
        scene = open_scene(tmp_path / "PRS_L2C_STD.he5")
        points = {(p.row, p.col): (round(p.x, 6), round(p.y, 6)) for p in control_points(scene)}
        assert points[5.5, 6.5] == (9.006, 44.995)
        assert scene.attrs["quantity"] == "reflectance"

    def test_level_1_is_radiance_and_says_so(self, tmp_path: Path) -> None:
        scale = {"ScaleFactor_Vnir": 100.0, "Offset_Vnir": 1.0, "ScaleFactor_Swir": 50.0, "Offset_Swir": 0.0}
        self.make(tmp_path / "PRS_L1_STD.he5", "L1", **scale)
        with pytest.warns(FinewaveWarning, match="holds radiance in W/.*, not reflectance"):
            scene = open_scene(tmp_path / "PRS_L1_STD.he5")
        with h5py.File(tmp_path / "PRS_L1_STD.he5") as file:
            stored = file["HDFEOS/SWATHS/PRS_L1_HCO/Data Fields/VNIR_Cube"][3, 2, 4]
        assert float(scene.values[1, 3, 4]) == pytest.approx(stored / 100 - 1, rel=1e-6)


def test_emit_swath(tmp_path: Path) -> None:
    path = tmp_path / "EMIT_L2A_RFL_001_20230316T045133_2307503_005.nc"
    values = np.random.default_rng(5).random((6, 8, 4)).astype(np.float32)
    values[0, 0] = -9999
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"downtrack": 6, "crosstrack": 8, "bands": 4}
        dims = ("downtrack", "crosstrack")
        file.create_variable("reflectance", (*dims, "bands"), "f4", data=values, fillvalue=np.float32(-9999))
        group = file.create_group("sensor_band_parameters")
        group.create_variable("wavelengths", ("bands",), "f4", data=np.array([400, 500, 600, 2400], "f4"))
        group.create_variable("fwhm", ("bands",), "f4", data=np.full(4, 8.5, "f4"))
        group.create_variable("good_wavelengths", ("bands",), "u1", data=np.array([1, 1, 0, 1], "u1"))
        place = file.create_group("location")
        y, x = np.mgrid[0:6, 0:8]
        place.create_variable("lat", dims, "f8", data=30 - 0.0006 * y)
        place.create_variable("lon", dims, "f8", data=50 + 0.0006 * x)
    scene = open_scene(path)
    np.testing.assert_array_equal(scene.values[:, 1:], np.moveaxis(values, -1, 0)[:, 1:])
    assert np.isnan(scene.values[:, 0, 0]).all()
    assert scene.wavelength.values.tolist() == [400, 500, 600, 2400]
    assert scene.good_band.values.tolist() == [True, True, False, True]
    assert (scene.attrs["sensor"], scene.attrs["quantity"]) == ("emit", "reflectance")
    assert len(control_points(scene)) == 48
    assert scene_crs(scene).to_epsg() == 4326
    assert_survives(scene, tmp_path)


def test_aviris_3_grid(tmp_path: Path) -> None:
    path = tmp_path / "AV320230926t201618_005_L2A_OE_main_27577724_RFL_ORT.nc"
    values = np.random.default_rng(6).random((3, 5, 4)).astype(np.float32)
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"northing": 5, "easting": 4}
        file.create_variable("northing", ("northing",), "f8", data=4e6 - 3.0 * np.arange(5))
        file.create_variable("easting", ("easting",), "f8", data=5e5 + 3.0 * np.arange(4))
        mapping = file.create_variable("transverse_mercator", (), "i4", data=np.int32(0))
        mapping.attrs["crs_wkt"] = rasterio.CRS.from_epsg(32611).to_wkt()
        mapping.attrs["grid_mapping_name"] = "transverse_mercator"
        group = file.create_group("reflectance")
        group.dimensions["wavelength"] = 3
        group.create_variable("wavelength", ("wavelength",), "f4", data=np.array([390, 400, 410], "f4"))
        group.create_variable("fwhm", ("wavelength",), "f4", data=np.full(3, 7.5, "f4"))
        image = group.create_variable("reflectance", ("wavelength", "northing", "easting"), "f4", data=values)
        image.attrs["grid_mapping"] = "transverse_mercator"
    scene = open_scene(path)
    np.testing.assert_array_equal(scene.values, values)
    assert scene.wavelength.values.tolist() == [390, 400, 410]
    assert scene.fwhm.values.tolist() == [7.5] * 3
    assert scene_crs(scene).to_epsg() == 32611
    assert tuple(scene_transform(scene))[:6] == (3, 0, 5e5 - 1.5, 0, -3, 4e6 + 1.5)
    assert scene.attrs["sensor"] == "aviris-3"
    assert_survives(scene, tmp_path)


def test_pace_swath(tmp_path: Path) -> None:
    path = tmp_path / "PACE_OCI.20240601T120000.L2.OC_AOP.V2_0.nc"
    values = np.random.default_rng(7).random((6, 5, 3)).astype(np.float32) / 100
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"number_of_lines": 6, "pixels_per_line": 5, "wavelength_3d": 3, "number_of_bands": 9}
        data = file.create_group("geophysical_data")
        dims = ("number_of_lines", "pixels_per_line")
        data.create_variable("Rrs", (*dims, "wavelength_3d"), "f4", data=values)
        data.create_variable("Rrs_unc", (*dims, "wavelength_3d"), "f4", data=values)
        bands = file.create_group("sensor_band_parameters")
        bands.create_variable("wavelength", ("number_of_bands",), "f4", data=np.arange(400, 490, 10, dtype="f4"))
        bands.create_variable("wavelength_3d", ("wavelength_3d",), "f4", data=np.array([400, 420, 440], "f4"))
        place = file.create_group("navigation_data")
        y, x = np.mgrid[0:6, 0:5]
        place.create_variable("latitude", dims, "f4", data=(10 - 0.01 * y).astype("f4"))
        place.create_variable("longitude", dims, "f4", data=(20 + 0.01 * x).astype("f4"))
    scene = open_scene(path)
    np.testing.assert_array_equal(scene.values, np.moveaxis(values, -1, 0))
    assert scene.wavelength.values.tolist() == [400, 420, 440]
    assert scene.attrs["quantity"] == "remote sensing reflectance in 1/sr"
    assert len(control_points(scene)) == 30
    assert_survives(scene, tmp_path)


def test_pace_level_1b_is_one_scene_of_three_detectors(tmp_path: Path) -> None:
    path = tmp_path / "PACE_OCI.20240601T120000.L1B.V3.nc"
    rng = np.random.default_rng(8)
    listed = {"blue": [400, 500, 602], "red": [600, 700], "SWIR": [940, 1250]}
    values = {name: rng.random((len(nm), 6, 5)).astype(np.float32) for name, nm in listed.items()}
    values["red"][:, 0, 0] = -32767
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"scans": 6, "pixels": 5, **{f"{name}_bands": len(nm) for name, nm in listed.items()}}
        data, bands = file.create_group("observation_data"), file.create_group("sensor_band_parameters")
        for name, nm in listed.items():
            dims = (f"{name}_bands", "scans", "pixels")
            data.create_variable(f"rhot_{name}", dims, "f4", data=values[name], fillvalue=np.float32(-32767))
            bands.create_variable(f"{name}_wavelength", dims[:1], "f4", data=np.array(nm, "f4"))
        place = file.create_group("geolocation_data")
        y, x = np.mgrid[0:6, 0:5]
        place.create_variable("latitude", ("scans", "pixels"), "f4", data=(10 - 0.01 * y).astype("f4"))
        place.create_variable("longitude", ("scans", "pixels"), "f4", data=(20 + 0.01 * x).astype("f4"))
    scene = open_scene(path)
    assert scene.wavelength.values.tolist() == [400, 500, 600, 602, 700, 940, 1250]
    expected = np.stack([*values["blue"][:2], values["red"][0], values["blue"][2], values["red"][1], *values["SWIR"]])
    np.testing.assert_array_equal(scene.values, np.where(expected == -32767, np.nan, expected))
    assert (scene.attrs["sensor"], scene.attrs["quantity"]) == ("pace-oci", "reflectance at the top of the atmosphere")
    assert len(control_points(scene)) == 30
    assert_survives(scene, tmp_path)
    assert open_scene(path, variable="observation_data/rhot_red").sizes["band"] == 2


class TestNeon:
    @pytest.mark.cases
    def test_case(self, cases: Path, tmp_path: Path) -> None:
        scene = open_scene(cases / "C4_neon_h5" / "ABCD.h5")
        assert scene.fwhm.values.tolist() == [5.0] * 10
        assert np.isnan(scene.values).sum() == 960
        assert float(scene.min()) > 0
        assert scene_crs(scene).to_epsg() == 32613
        assert tuple(scene_transform(scene))[:6] == (1, 0, 451000, 0, -1, 4432000)
        assert scene.attrs["quantity"] == "reflectance"
        assert_survives(scene, tmp_path)

    def test_windows_of_bad_bands(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "NEON_D10_CPER_DP3_reflectance.h5", "w") as file:
            image = file.create_dataset("CPER/Reflectance/Reflectance_Data", data=np.full((4, 5, 6), 1000, np.int16))
            image.attrs.update(Scale_Factor=10000.0, Data_Ignore_Value=-9999.0)
            image.attrs["Band_Window_1_Nanometers"] = np.array([1340, 1445])
            place = "CPER/Reflectance/Metadata/Spectral_Data"
            file[f"{place}/Wavelength"] = [900.0, 1300.0, 1400.0, 1440.0, 1500.0, 2000.0]
            file[f"{place}/FWHM"] = [5.0] * 6
        scene = open_scene(tmp_path / "NEON_D10_CPER_DP3_reflectance.h5")
        assert scene.good_band.values.tolist() == [True, True, False, False, True, True]
        np.testing.assert_allclose(scene.values, 0.1, atol=1e-7)


class TestTanager:
    def make(self, path: Path, holder: str, image: str = "surface_reflectance") -> np.ndarray:
        values = np.random.default_rng(8).random((3, 6, 5)).astype(np.float32)
        with h5py.File(path, "w") as file:
            data = file.create_dataset(f"HDFEOS/{holder}/HYP/Data Fields/{image}", data=values)
            data.attrs.update(wavelengths=[400.0, 405.0, 410.0], fwhm=[5.5, 5.5, 5.6], good_wavelengths=[1, 0, 1])
            data.attrs["_FillValue"] = np.float32(-9999)
            hidden = np.zeros((6, 5), np.uint8)
            hidden[0] = 1
            file[f"HDFEOS/{holder}/HYP/Data Fields/nodata_pixels"] = hidden
            if holder == "SWATHS":
                y, x = np.mgrid[0:6, 0:5]
                file["HDFEOS/SWATHS/HYP/Geolocation Fields/Latitude"] = -33.0 - 0.0003 * y
                file["HDFEOS/SWATHS/HYP/Geolocation Fields/Longitude"] = 19.0 + 0.0003 * x
            file["HDFEOS INFORMATION/StructMetadata.0"] = np.bytes_(
                "GROUP=GridStructure\n\tUpperLeftPointMtrs=(345660.000000,6286110.000000)\n"
                "\tLowerRightMtrs=(345810.000000,6285930.000000)\n\tZoneCode=-34\n"
            )
        return values

    def test_grid(self, tmp_path: Path) -> None:
        values = self.make(tmp_path / "20250926_ortho_sr_hdf5.h5", "GRIDS")
        scene = open_scene(tmp_path / "20250926_ortho_sr_hdf5.h5")
        np.testing.assert_array_equal(scene.values[:, 1:], values[:, 1:])
        assert np.isnan(scene.values[:, 0]).all()
        assert scene.wavelength.values.tolist() == [400, 405, 410]
        assert scene.fwhm.values.tolist() == [5.5, 5.5, 5.6]
        assert scene.good_band.values.tolist() == [True, False, True]
        assert scene_crs(scene).to_epsg() == 32734
        assert tuple(scene_transform(scene))[:6] == (30, 0, 345660, 0, -30, 6286110)
        assert_survives(scene, tmp_path)

    def test_swath_of_radiance(self, tmp_path: Path) -> None:
        self.make(tmp_path / "basic_radiance_hdf5.h5", "SWATHS", "toa_radiance")
        with pytest.warns(FinewaveWarning, match="holds radiance"):
            scene = open_scene(tmp_path / "basic_radiance_hdf5.h5")
        assert len(control_points(scene)) == 30
        assert scene.attrs["quantity"] == "radiance in W/(m2 sr um)"


def emit_with_table(path: Path, *, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    values = np.random.default_rng(55).random((6, 8, 4)).astype(np.float32)
    with h5netcdf.File(path, "w") as file:
        file.attrs["spatial_ref"] = rasterio.CRS.from_epsg(4326).to_wkt()
        file.attrs["geotransform"] = np.array([50.0, 0.0005, 0, 30.0, 0, -0.0005])
        file.dimensions = {"downtrack": 6, "crosstrack": 8, "bands": 4, "ortho_y": 5, "ortho_x": 9}
        file.create_variable("reflectance", ("downtrack", "crosstrack", "bands"), "f4", data=values)
        group = file.create_group("sensor_band_parameters")
        group.create_variable("wavelengths", ("bands",), "f4", data=np.array([400, 500, 600, 2400], "f4"))
        group.create_variable("fwhm", ("bands",), "f4", data=np.full(4, 8.5, "f4"))
        place = file.create_group("location")
        y, x = np.mgrid[0:6, 0:8]
        place.create_variable("lat", ("downtrack", "crosstrack"), "f8", data=30 - 0.0006 * y)
        place.create_variable("lon", ("downtrack", "crosstrack"), "f8", data=50 + 0.0006 * x)
        place.create_variable("glt_x", ("ortho_y", "ortho_x"), "i4", data=columns.astype(np.int32))
        place.create_variable("glt_y", ("ortho_y", "ortho_x"), "i4", data=rows.astype(np.int32))
    return np.moveaxis(values, -1, 0)


class TestEmitOnItsMap:
    NAME = "EMIT_L2A_RFL_001_20230316T045133_2307503_005.nc"

    def test_every_pixel_is_that_of_the_table(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(3)
        rows, columns = rng.integers(0, 7, (5, 9)), rng.integers(0, 9, (5, 9))
        rows[0, 0], columns[0, 1] = 0, 0  # a pixel needs both
        values = emit_with_table(tmp_path / self.NAME, rows=rows, columns=columns)
        scene = open_scene(tmp_path / self.NAME, orthorectify=True)
        expected = np.full((4, 5, 9), np.nan, np.float32)
        for y, x in np.argwhere((rows > 0) & (columns > 0)):
            expected[:, y, x] = values[:, rows[y, x] - 1, columns[y, x] - 1]
        np.testing.assert_array_equal(scene.values, expected)
        np.testing.assert_array_equal(scene[1:3, 2:4, 3].values, expected[1:3, 2:4, 3])
        np.testing.assert_allclose(tuple(scene_transform(scene))[:6], (0.0005, 0, 50, 0, -0.0005, 30), atol=1e-9)
        assert scene_crs(scene).to_epsg() == 4326
        assert scene.wavelength.values.tolist() == [400, 500, 600, 2400]
        assert not control_points(scene)
        assert scene.attrs["sensor"] == "emit"
        assert_survives(scene, tmp_path)

    def test_by_default_it_is_a_swath(self, tmp_path: Path) -> None:
        emit_with_table(tmp_path / self.NAME, rows=np.ones((5, 9)), columns=np.ones((5, 9)))
        scene = open_scene(tmp_path / self.NAME)
        assert scene.shape == (4, 6, 8)
        assert len(control_points(scene)) == 48

    def test_tables_that_cannot_be(self, tmp_path: Path) -> None:
        emit_with_table(tmp_path / self.NAME, rows=np.full((5, 9), 7), columns=np.ones((5, 9)))
        with pytest.raises(InputError, match="leads out of its image"):
            open_scene(tmp_path / self.NAME, orthorectify=True)
        save_scene(open_scene(tmp_path / self.NAME), tmp_path / "a.tif")
        with pytest.raises(InputError, match=r"--orthorectify.* has no meaning"):
            open_scene(tmp_path / "a.tif", orthorectify=True)
