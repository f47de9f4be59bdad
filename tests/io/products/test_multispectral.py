"""Products of PlanetScope, WorldView, EOPF and line scanners, in the documented layouts."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr

import finewave as fw
from finewave.errors import InputError
from finewave.inference.options import PredictOptions
from finewave.inference.predict_file import InputFiles
from finewave.io.open_save import open_scene
from finewave.scene import scene_crs, scene_transform
from finewave.warnings import FinewaveWarning
from finewave.zoo.card import describe
from tests.io.products.test_spectrometers import UTM, assert_survives

RNG = np.random.default_rng(9)


def write(path: Path, numbers: np.ndarray, **profile: object) -> None:
    bands, height, width = numbers.shape
    keywords = {**UTM, "dtype": numbers.dtype.name, **profile}
    keywords = {key: value for key, value in keywords.items() if value is not None}
    with rasterio.open(path, "w", driver="GTiff", count=bands, height=height, width=width, **keywords) as file:
        file.write(numbers)


class TestPlanetScope:
    SCENE = "20240601_101112_34_24a4_3B"

    def metadata(self, folder: Path, coefficients: list[float], instrument: str = "PSB.SD") -> None:
        bands = "".join(
            f"<ps:bandSpecificMetadata><ps:bandNumber>{i}</ps:bandNumber>"
            f"<ps:reflectanceCoefficient>{c}</ps:reflectanceCoefficient></ps:bandSpecificMetadata>"
            for i, c in enumerate(coefficients, start=1)
        )
        (folder / f"{self.SCENE}_AnalyticMS_metadata.xml").write_text(
            '<ps:EarthObservation xmlns:ps="urn:ps" xmlns:eop="urn:eop"><eop:instrument><eop:Instrument>'
            f"<eop:shortName>{instrument}</eop:shortName></eop:Instrument></eop:instrument>{bands}"
            "</ps:EarthObservation>"
        )

    def test_surface_reflectance_of_eight_bands(self, tmp_path: Path) -> None:
        numbers = RNG.integers(1, 9000, (8, 6, 5)).astype(np.uint16)
        numbers[:, 5, 4] = 0
        write(tmp_path / f"{self.SCENE}_AnalyticMS_SR_8b_clip.tif", numbers, nodata=0)
        mask = np.zeros((8, 6, 5), np.uint8)
        mask[7, 0, 0], mask[7, 0, 1], mask[7, 0, 2] = 1, 2, 4  # black fill, a cloud, numbers not to be trusted
        write(tmp_path / f"{self.SCENE}_udm2_clip.tif", mask)
        scene = open_scene(tmp_path)
        hidden = np.zeros((6, 5), bool)
        hidden[5, 4] = hidden[0, 0] = hidden[0, 2] = True
        np.testing.assert_array_equal(np.isnan(scene.values), np.broadcast_to(hidden, (8, 6, 5)))
        np.testing.assert_allclose(scene.values[:, ~hidden], numbers[:, ~hidden] * 1e-4, atol=1e-7)
        assert scene.wavelength.values.tolist() == [443, 490, 531, 565, 610, 665, 705, 865]
        assert scene.fwhm.values.tolist() == [20, 50, 36, 36, 20, 31, 15, 40]
        assert scene.attrs["sensor"] == "planetscope-psb.sd"
        assert scene_transform(scene) == UTM["transform"]
        part = scene.isel(y=slice(0, 1), x=slice(0, 3)).values
        np.testing.assert_array_equal(np.isnan(part[0]), [[True, False, True]])
        assert_survives(scene, tmp_path)

    def test_coefficients_to_the_top_of_the_atmosphere(self, tmp_path: Path) -> None:
        numbers = RNG.integers(1, 9000, (4, 6, 5)).astype(np.uint16)
        write(tmp_path / f"{self.SCENE}_AnalyticMS.tif", numbers)
        self.metadata(tmp_path, [2e-5, 2.1e-5, 2.3e-5, 3.5e-5], "PS2")
        scene = open_scene(tmp_path / f"{self.SCENE}_AnalyticMS.tif")
        factors = np.array([2e-5, 2.1e-5, 2.3e-5, 3.5e-5])[:, None, None]
        np.testing.assert_allclose(scene.values, numbers * factors, rtol=1e-6)
        assert scene.wavelength.values.tolist() == [485, 545, 630, 820]
        assert scene.attrs["quantity"] == "reflectance at the top of the atmosphere"

    def test_metadata_missing(self, tmp_path: Path) -> None:
        write(tmp_path / f"{self.SCENE}_AnalyticMS.tif", np.ones((4, 6, 5), np.uint16))
        with pytest.raises(InputError, match=r"lacks its metadata \(\*_metadata\.xml\)"):
            open_scene(tmp_path / f"{self.SCENE}_AnalyticMS.tif")


class TestWorldView:
    IMD = (
        'version = "28.3";\n{bands}BEGIN_GROUP = IMAGE_1\n\tsatId = "{satellite}";\n\tmeanSunEl = 45.0;\n'
        "END_GROUP = IMAGE_1\nEND;\n"
    )

    def make(self, folder: Path, bands: list[str], satellite: str) -> np.ndarray:
        numbers = RNG.integers(1, 2000, (len(bands), 8, 7)).astype(np.uint16)
        numbers[:, 0, 0] = 0
        write(folder / "21MAR18-M2AS-1.TIF", numbers)
        text = "".join(
            f"BEGIN_GROUP = BAND_{band}\n\tULLon = 10.0;\n\tabsCalFactor = 1.0e-02;\n\teffectiveBandwidth = 5.0e-02;\n"
            f"\tTDILevel = ({i}, 2);\nEND_GROUP = BAND_{band}\n"
            for i, band in enumerate(bands)
        )
        (folder / "21MAR18-M2AS-1.IMD").write_text(self.IMD.format(bands=text, satellite=satellite))
        return numbers

    def test_eight_bands_of_worldview_2(self, tmp_path: Path) -> None:
        numbers = self.make(tmp_path, ["C", "B", "G", "Y", "R", "RE", "N", "N2"], "WV02")
        with pytest.warns(FinewaveWarning, match=r"holds radiance in W/\(m2 sr um\), not reflectance"):
            scene = open_scene(tmp_path / "21MAR18-M2AS-1.TIF")
        np.testing.assert_allclose(scene.values[:, 1:], numbers[:, 1:] * 0.2, rtol=1e-6)
        assert np.isnan(scene.values[:, 0, 0]).all()
        assert scene.wavelength.values.tolist() == [425, 480, 545, 605, 660, 725, 832.5, 950]
        assert scene.fwhm.values[0] == 50
        assert scene.attrs["sensor"] == "worldview2"
        assert scene_crs(scene).to_epsg() == 32633
        assert_survives(scene, tmp_path)

    @pytest.mark.filterwarnings("ignore:.*holds radiance")
    def test_four_bands_and_the_imd_itself(self, tmp_path: Path) -> None:
        self.make(tmp_path, ["B", "G", "R", "N"], "GE01")
        scene = open_scene(tmp_path / "21MAR18-M2AS-1.IMD")
        assert scene.wavelength.values.tolist() == [480, 545, 672.5, 850]
        assert scene.band_name.values.tolist() == ["blue", "green", "red", "nir1"]

    def test_other_bands_than_the_metadata(self, tmp_path: Path) -> None:
        self.make(tmp_path, ["B", "G", "R", "N"], "WV02")
        write(tmp_path / "three.tif", np.ones((3, 8, 7), np.uint16))
        (tmp_path / "three.tif").rename(tmp_path / "21MAR18-M2AS-1.TIF")
        with pytest.raises(InputError, match=r"has 3 bands, 21MAR18-M2AS-1\.IMD speaks of 4"):
            open_scene(tmp_path)

    @pytest.mark.filterwarnings("ignore:.*holds radiance")
    def test_tiles(self, tmp_path: Path) -> None:
        numbers = self.tiles(tmp_path)
        scene = open_scene(tmp_path / "21MAR18-M2AS-1.TIL")
        np.testing.assert_allclose(scene.values[:, 1:], numbers[:, 1:] * 0.2, rtol=1e-6)

    def test_a_tile_that_is_missing(self, tmp_path: Path) -> None:
        self.tiles(tmp_path)
        (tmp_path / "21MAR18-M2AS_R1C1-1.TIF").unlink()
        with pytest.raises(InputError, match=r"lists tiles that are not in its folder: 21MAR18-M2AS_R1C1-1\.TIF; copy"):
            open_scene(tmp_path / "21MAR18-M2AS-1.TIL")
        listed = tmp_path / "21MAR18-M2AS-1.TIL"
        listed.write_text(listed.read_text().replace("_R1C1-1.TIF", "_R1\x00\x1b[2J.TIF"))
        with pytest.raises(InputError, match="not in its folder") as refused:
            open_scene(listed)
        assert str(refused.value).isprintable()

    def tiles(self, tmp_path: Path) -> np.ndarray:
        """Write a list of one tile and return its numbers."""
        numbers = self.make(tmp_path, ["B", "G", "R", "N"], "WV02")
        (tmp_path / "21MAR18-M2AS-1.TIF").rename(tmp_path / "21MAR18-M2AS_R1C1-1.TIF")
        imd = tmp_path / "21MAR18-M2AS-1.IMD"
        imd.write_text(imd.read_text().replace("END;\n", "numRows = 8;\nnumColumns = 7;\nbitsPerPixel = 16;\nEND;\n"))
        (tmp_path / "21MAR18-M2AS-1.TIL").write_text(
            'bandId = "Multi";\nnumTiles = 1;\ntileSizeX = 7;\ntileSizeY = 8;\ntileUnits = "Pixels";\n'
            'tileOverlap = 0;\nBEGIN_GROUP = TILE_1\n\tfilename = "21MAR18-M2AS_R1C1-1.TIF";\n'
            "\tULColOffset = 0;\n\tULRowOffset = 0;\n\tLRColOffset = 6;\n\tLRRowOffset = 7;\nEND_GROUP = TILE_1\nEND;\n"
        )
        return numbers


class TestEopf:
    def make(self, path: Path) -> dict[str, np.ndarray]:
        values = {}
        for resolution, names, size in ((10, ("b02", "b03", "b04", "b08"), 12), (20, ("b05", "b8a", "b02"), 6)):
            x = 600000 + resolution * (np.arange(size) + 0.5)
            y = 5000040 - resolution * (np.arange(size) + 0.5)
            arrays = {}
            for name in names:
                numbers = RNG.integers(1001, 9000, (size, size)).astype(np.uint16)
                numbers[0, 0] = 0
                values[f"{name}_{resolution}"] = np.where(numbers == 0, np.nan, numbers * 1e-4 - 0.1)
                attrs = {"scale_factor": 1e-4, "add_offset": -0.1, "_FillValue": 0, "proj:epsg": 32632}
                arrays[name] = (("y", "x"), numbers, attrs)
            dataset = xr.Dataset(arrays, {"x": x, "y": y})
            dataset.to_zarr(path, group=f"measurements/reflectance/r{resolution}m", mode="a", zarr_format=2)
        return values

    def test_finest_pixels(self, tmp_path: Path) -> None:
        path = tmp_path / "S2B_MSIL2A_20250530T101559_N0511_R065_T32TPT.zarr"
        values = self.make(path)
        with pytest.warns(
            FinewaveWarning, match="B5, B8A have larger pixels than 10 m and are left out; resolution=20"
        ):
            scene = open_scene(path)
        expected = np.stack([values[f"{name}_10"] for name in ("b02", "b03", "b04", "b08")])
        np.testing.assert_allclose(scene.values, expected, atol=1e-6)
        assert scene.band_name.values.tolist() == ["B2", "B3", "B4", "B8"]
        assert scene.attrs["sensor"] == "sentinel2b"
        assert scene_crs(scene).to_epsg() == 32632
        assert tuple(scene_transform(scene))[:6] == (10, 0, 600000, 0, -10, 5000040)
        assert_survives(scene, tmp_path)

    def test_resolution(self, tmp_path: Path) -> None:
        values = self.make(tmp_path / "a.zarr")
        scene = open_scene(tmp_path / "a.zarr", resolution=20)
        assert scene.band_name.values.tolist() == ["B2", "B5", "B8A"]
        np.testing.assert_allclose(scene.values[1], values["b05_20"], atol=1e-6)
        assert scene_transform(scene).a == 20
        with pytest.raises(InputError, match="there are pixels of 10, 20"):
            open_scene(tmp_path / "a.zarr", resolution=30)

    @pytest.mark.filterwarnings("ignore:.*are left out")
    def test_predictions_read_the_resolution_with_the_bands(self, tmp_path: Path) -> None:
        self.make(tmp_path / "a.zarr")
        bands = ["B2", "B5", "B8A"]
        net = fw.create_model("jssunet", scale=2, hs_bands=4, features=4, stages=1, n_clusters=2, post=False)
        card = describe(net, name="red-edge", ms_bands=bands, ms_wavelengths_nm=[492.3, 703.8, 864.0])
        files = InputFiles(tmp_path / "a.zarr", None, PredictOptions())
        with pytest.warns(FinewaveWarning, match="pixels of 20 m, which has the bands of red-edge"):
            files.open_as_trained(fw.Model(net, card))
        assert files.scene.band_name.values.tolist() == bands
        files.close()
        for resolution, size in ((None, 10), (10, 10)):
            files = InputFiles(tmp_path / "a.zarr", None, PredictOptions(resolution=resolution))
            files.open_with_more_bands()  # three in place of four are not more
            assert scene_transform(files.scene).a == size
            files.close()
        for name in ("b06", "b07", "b11", "b12", "b03"):
            group = tmp_path / "a.zarr" / "measurements" / "reflectance" / "r20m"
            shutil.copytree(group / "b05", group / name)
        for listed in (tmp_path / "a.zarr").rglob(".zmetadata"):
            listed.unlink()
        files = InputFiles(tmp_path / "a.zarr", None, PredictOptions())
        with pytest.warns(FinewaveWarning, match="pixels of 20 m, which has 8 bands, 4 at 10 m"):
            files.open_with_more_bands()
        assert files.scene.sizes["band"] == 8
        files.close()


class TestReferencePanels:
    def envi(self, header: Path, numbers: np.ndarray, tint: float) -> None:
        bands, lines, samples = numbers.shape
        numbers.transpose(1, 0, 2).astype("<u2").tofile(header.with_suffix(".raw"))
        header.write_text(
            f"ENVI\nsamples = {samples}\nlines = {lines}\nbands = {bands}\nheader offset = 0\n"
            "file type = ENVI Standard\ndata type = 12\ninterleave = bil\nbyte order = 0\nsensor type = SPECIM FX10\n"
            f"tint = {tint}\nwavelength = {{400, 500, 600}}\nfwhm = {{5, 5, 6}}\n"
        )

    def make(self, folder: Path, names: tuple[str, str, str]) -> np.ndarray:
        dark = np.full((3, 2, 5), 100)
        white = dark[:, :1] + np.arange(1, 16).reshape(3, 1, 5) * 100
        reflectance = RNG.random((3, 6, 5)) * 0.9
        scan = 100 + reflectance * (white - 100) * 2  # exposed twice as long as the white reference
        for name, numbers, tint in zip(names, (scan, np.repeat(white, 4, 1), dark), (20, 10, 20), strict=True):
            self.envi(folder / f"{name}.hdr", np.rint(numbers), tint)
        return (np.rint(scan) - 100) / ((white - 100) * 2)

    @pytest.mark.parametrize(
        "names",
        [("leaf", "WHITEREF_leaf", "DARKREF_leaf"), ("leaf", "leaf_white", "leaf_dark")],
        ids=["specim", "hyspex"],
    )
    def test_reflectance(self, tmp_path: Path, names: tuple[str, str, str]) -> None:
        expected = self.make(tmp_path, names)
        scene = open_scene(tmp_path / "leaf.hdr")
        np.testing.assert_allclose(scene.values, expected, atol=1e-5)
        assert scene.wavelength.values.tolist() == [400, 500, 600]
        assert scene.fwhm.values.tolist() == [5, 5, 6]
        assert scene.attrs["quantity"] == "reflectance relative to the white reference"
        assert scene.attrs["sensor"] == "specim fx10"
        np.testing.assert_allclose(open_scene(tmp_path / "leaf.raw").values[1:2, 2:4], expected[1:2, 2:4], atol=1e-5)
        assert_survives(scene, tmp_path)

    def test_folder_of_a_capture(self, tmp_path: Path) -> None:
        (tmp_path / "capture").mkdir()
        expected = self.make(tmp_path / "capture", ("leaf", "WHITEREF_leaf", "DARKREF_leaf"))
        np.testing.assert_allclose(open_scene(tmp_path).values, expected, atol=1e-5)

    def test_reference_of_another_camera(self, tmp_path: Path) -> None:
        self.make(tmp_path, ("leaf", "WHITEREF_leaf", "DARKREF_leaf"))
        self.envi(tmp_path / "WHITEREF_leaf.hdr", np.ones((3, 2, 4)), 10)
        with pytest.raises(InputError, match=r"WHITEREF_leaf\.hdr has 3 bands of 4 columns, leaf\.hdr 3 of 5"):
            open_scene(tmp_path / "leaf.hdr")
