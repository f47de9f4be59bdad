"""Which band of a scene is which of a model: wavelengths, names, colours, order; and bands that are flagged bad."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

import finewave as fw
from finewave.errors import InputError
from finewave.inference.matching.band_matching import match_bands, warn_of_other_sensor
from finewave.inference.matching.band_selection import filled, select_bands
from finewave.inference.predict import predict_file
from finewave.scene import make_scene
from finewave.warnings import FinewaveWarning
from finewave.zoo.card import describe
from finewave.zoo.model import Model
from tests.inference.tiny_models import save_model

RGB = {"ms_bands": ["R", "G", "B"], "ms_wavelengths_nm": [600.0, 540.0, 460.0]}
SENTINEL = {"ms_bands": ["B2", "B3", "B4", "B8"], "ms_wavelengths_nm": [492.4, 559.8, 664.6, 832.8]}


def model_of(bands: int = 3, **facts: Any) -> Model:
    net = fw.create_model("ridge", ms_bands=bands, hs_bands=4)
    return Model(net, describe(net, **facts))


def scene_of(bands: int, **keywords: Any) -> xr.DataArray:
    return make_scene(np.ones((bands, 3, 3), np.float32), **keywords)


def matched(scene: xr.DataArray, model: Model) -> tuple[list[int], str]:
    """Return the bands, and what was said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = match_bands(scene, model)
    return found, " | ".join(str(each.message) for each in caught)


def test_weights_for_any_sensor_are_advised_for_a_sensor_without_weights_of_its_own() -> None:
    for sensor, advice in (("rapideye", "use --model any-sensor"), ("other", "data.sensor=other makes one for it")):
        with pytest.warns(FinewaveWarning, match=advice):
            warn_of_other_sensor(scene_of(2, attrs={"sensor": sensor}), model_of(2, sensor="sentinel2a:B2,B3"))


def test_primaries_of_a_display_are_no_bands_of_a_spectrometer() -> None:
    """The red of sRGB has its centre at 579 nm, which is yellow."""
    model = model_of(sensor="srgb", ms_bands=["R", "G", "B"], ms_wavelengths_nm=[578.7, 536.0, 463.5])
    spectra = scene_of(31, wavelengths=np.arange(400.0, 701, 10))
    with pytest.raises(InputError, match=r"31 bands \(400.*expects 3 \(R, G, B\)"):
        match_bands(spectra, model)
    named = scene_of(4, wavelengths=[460.0, 540, 650, 850], band_names=["blue", "green", "red", "nir"])
    assert matched(named, model)[0] == [2, 1, 0]
    assert matched(scene_of(3, wavelengths=[460.0, 540, 600]), model)[0] == [2, 1, 0]


def test_models_of_the_same_task_are_advised_first() -> None:
    net = fw.create_model("sspsr", scale=2, hs_bands=5, group_size=2, overlap=1, features=4, blocks=1)
    model = Model(net, describe(net, wavelengths_nm=np.arange(400.0, 441, 10).tolist()))
    with pytest.raises(InputError, match=r"models bandwise-sr-any-x2, bandwise-sr-any-x4 take these bands$"):
        match_bands(scene_of(12, wavelengths=np.linspace(450, 900, 12)), model)


def test_what_only_sharpens_is_not_advised_to_who_wants_spectra() -> None:
    with pytest.raises(
        InputError, match=r"; --model any-sensor takes the bands of any sensor \(--sensor\), and .* fit"
    ):
        match_bands(scene_of(5), model_of(**RGB))


@pytest.mark.parametrize(
    ("trained_on", "warned"), [("sentinel2a", False), ("sentinel2a:B2,B3", False), ("sentinel2b:B2,B3", True)]
)
def test_another_sensor_is_noticed(trained_on: str, warned: bool) -> None:
    model = model_of(2, sensor=trained_on)
    scene = scene_of(2, attrs={"sensor": "sentinel2a"})
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warn_of_other_sensor(scene, model)
    assert [issubclass(each.category, FinewaveWarning) for each in told] == [True] * warned


class TestOrderOfWhatCounts:
    def test_wavelengths_come_first(self) -> None:
        scene = scene_of(3, wavelengths=[460, 540, 600], band_names=["x", "y", "z"])
        assert matched(scene, model_of(**RGB)) == ([2, 1, 0], "")

    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            (["blue", "green", "red"], [2, 1, 0]),
            (["B", "G", "R"], [2, 1, 0]),
            (["Green", "Red", "Blue"], [1, 0, 2]),
            (["SR_blue", "SR_green", "SR_red"], [2, 1, 0]),
            (["r", "g", "b"], [0, 1, 2]),
        ],
    )
    def test_then_names(self, names: list[str], expected: list[int]) -> None:
        assert matched(scene_of(3, band_names=names), model_of(**RGB)) == (expected, "")

    def test_names_of_more_bands_than_are_needed(self) -> None:
        scene = scene_of(5, band_names=["blue", "green", "red", "Red Edge", "NIR"])
        found, said = matched(scene, model_of(**RGB))
        assert found == [2, 1, 0]
        assert "uses band 3 (red), band 2 (green), band 1 (blue); the others are left out" in said

    def test_colours_for_the_numbers_of_a_satellite(self) -> None:
        scene = scene_of(4, band_names=["nir", "red", "green", "blue"])
        assert matched(scene, model_of(4, sensor="sentinel2a", **SENTINEL)) == ([3, 2, 1, 0], "")

    def test_numbers_of_the_same_sensor(self) -> None:
        scene = scene_of(4, band_names=["B08", "B04", "B03", "B02"], attrs={"sensor": "sentinel2b"})
        assert matched(scene, model_of(4, sensor="sentinel2a", **SENTINEL)) == ([3, 2, 1, 0], "")

    def test_numbers_alone_are_said(self) -> None:
        scene = scene_of(4, band_names=["x_B08", "x_B04", "x_B03", "x_B02"])
        found, said = matched(scene, model_of(4, sensor="sentinel2a", **SENTINEL))
        assert found == [3, 2, 1, 0]
        assert "matched by number alone" in said

    def test_numbers_of_another_sensor_mean_nothing(self) -> None:
        scene = scene_of(4, band_names=["B8", "B4", "B3", "B2"], attrs={"sensor": "landsat8"})
        found, said = matched(scene, model_of(4, sensor="sentinel2a", **SENTINEL))
        assert found == [0, 1, 2, 3]
        assert "does not say which band is which" in said

    def test_then_colours_of_the_file(self) -> None:
        scene = scene_of(3, colours=["blue", "green", "red"])
        assert matched(scene, model_of(**RGB)) == ([2, 1, 0], "")

    def test_then_the_order_with_a_warning(self) -> None:
        found, said = matched(scene_of(3), model_of(**RGB))
        assert found == [0, 1, 2]
        assert (
            "does not say which band is which: taken in the order of the file as those of untrained (R, G, B)" in said
        )
        assert "--wavelengths" in said

    def test_nothing_is_said_of_one_band_or_where_the_model_knows_none(self) -> None:
        assert matched(scene_of(3), model_of()) == ([0, 1, 2], "")
        assert matched(scene_of(1), model_of(1, ms_bands=["R"])) == ([0], "")

    def test_names_in_order_with_one_that_says_nothing(self) -> None:
        found, said = matched(scene_of(3, band_names=["red", "middle", "blue"]), model_of(**RGB))
        assert found == [0, 1, 2]
        assert "order of the file" in said


class TestRefusals:
    def test_names_that_lack_a_band(self) -> None:
        with pytest.raises(InputError, match=r"called blue, green, nir; untrained expects R, G, B, and not each"):
            match_bands(scene_of(3, band_names=["blue", "green", "nir"]), model_of(**RGB))

    def test_a_name_twice(self) -> None:
        with pytest.raises(InputError, match="exactly once"):
            match_bands(scene_of(3, band_names=["red", "red", "blue"]), model_of(**RGB))

    def test_name_in_another_place_beside_one_that_says_nothing(self) -> None:
        with pytest.raises(InputError, match="called blue, middle, red"):
            match_bands(scene_of(3, band_names=["blue", "middle", "red"]), model_of(**RGB))

    def test_name_and_wavelength(self) -> None:
        scene = scene_of(3, band_names=["red", "green", "blue"], wavelengths=[460, 540, 600])
        with pytest.raises(InputError, match="band 1 of the scene is named 'red' and has a wavelength of 460 nm"):
            match_bands(scene, model_of(**RGB))

    def test_name_and_colour(self) -> None:
        scene = scene_of(3, band_names=["blue", "green", "red"], colours=["red", "green", "blue"])
        with pytest.raises(InputError, match="is named 'blue' and is red by its colour interpretation"):
            match_bands(scene, model_of(**RGB))

    def test_number_of_the_sensor_and_wavelength(self) -> None:
        keywords = {"band_names": ["B2", "B3", "B4", "B8"], "attrs": {"sensor": "sentinel2a"}}
        scene = scene_of(4, wavelengths=[832, 664, 560, 490], **keywords)
        with pytest.raises(
            InputError, match=r"band 1 .* is B2 of sentinel2a \(492\.4 nm\) and has a wavelength of 832 nm"
        ):
            match_bands(scene, model_of(4, **SENTINEL))

    def test_number_of_bands(self) -> None:
        with pytest.raises(InputError, match=r"scene has 4 bands; untrained expects 3 \(R, G, B\)"):
            match_bands(scene_of(4), model_of(**RGB))


class TestColoursOfFiles:
    def write(self, path: Path, dtype: str, names: list[str] | None, colours: list[ColorInterp] | None) -> Path:
        place = {"crs": "EPSG:32631", "transform": from_origin(5e5, 4e6, 10, 10), "photometric": "minisblack"}
        values = np.arange(3 * 4 * 4, dtype=dtype).reshape(3, 4, 4) + 1
        with rasterio.open(path, "w", "GTiff", 4, 4, 3, dtype=dtype, nodata=0, **place) as file:
            file.write(values)
            if colours:
                file.colorinterp = colours
            for i, name in enumerate(names or [], start=1):
                file.set_band_description(i, name)
        return path

    BGR = (ColorInterp.blue, ColorInterp.green, ColorInterp.red)
    ORDER = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)

    def test_of_a_tiff(self, tmp_path: Path) -> None:
        scene = fw.open_scene(self.write(tmp_path / "a.tif", "float32", None, list(self.BGR)))
        assert scene.colour.values.tolist() == ["blue", "green", "red"]
        assert matched(scene, model_of(**RGB)) == ([2, 1, 0], "")

    def test_that_gdal_gives_by_itself_do_not_contradict_names(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "a.tif", "uint8", ["blue", "green", "red"], list(self.ORDER))
        scene = fw.open_scene(path, full_scale=255)
        assert matched(scene, model_of(**RGB))[0] == [2, 1, 0]

    @pytest.mark.parametrize(
        ("names", "expected"), [(["blue", "green", "red"], [2, 1, 0]), (["R", "G", "B"], [0, 1, 2])]
    )
    def test_names_of_bytes_without_a_place_count_too(
        self, tmp_path: Path, names: list[str], expected: list[int]
    ) -> None:
        values = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4)
        with (
            warnings.catch_warnings(),
            rasterio.open(tmp_path / "a.tif", "w", "GTiff", 4, 4, 3, dtype="uint8") as file,
        ):
            warnings.simplefilter("ignore")
            file.write(values)
            for i, name in enumerate(names, start=1):
                file.set_band_description(i, name)
        scene = fw.open_scene(tmp_path / "a.tif", full_scale=255)
        assert matched(scene, model_of(**RGB))[0] == expected
        assert scene.attrs.get("sensor") == ("srgb" if names[0] == "R" else None)

    def test_that_somebody_chose_do(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "a.tif", "float32", ["blue", "green", "red"], list(self.ORDER))
        with pytest.raises(InputError, match="is red by its colour interpretation"):
            match_bands(fw.open_scene(path), model_of(**RGB))


class TestBadBands:
    WAVELENGTHS = (400.0, 410.0, 430.0, 440.0)

    def model(self) -> Model:
        net = fw.create_model("bicubic", scale=2, hs_bands=4)
        return Model(net, describe(net, wavelengths_nm=list(self.WAVELENGTHS)))

    def scene(self, good: list[bool], garbage: float, wavelengths: tuple[float, ...] = WAVELENGTHS) -> xr.DataArray:
        values = np.stack([np.full((5, 6), 0.001 * w, np.float32) for w in wavelengths])
        values[~np.array(good)] = garbage
        return make_scene(values, wavelengths, good_bands=good)

    @pytest.mark.parametrize("garbage", [7.7, -1e30, np.nan, np.inf])
    def test_is_filled_from_its_neighbours_in_wavelength(self, garbage: float) -> None:
        scene = self.scene([True, False, True, True], garbage)
        with pytest.warns(FinewaveWarning, match=r"flagged bad in the scene: band 2 \(410 nm\); untrained needs it"):
            result = fw.super_resolve(scene, self.model())
        np.testing.assert_allclose(result.values[:, 3, 3], [0.4, 0.41, 0.43, 0.44], atol=1e-6)
        assert np.isfinite(result.values).all()

    def test_at_the_ends_the_nearest_is_repeated(self) -> None:
        with pytest.warns(FinewaveWarning, match="band 1 .* band 4 .* needs them"):
            result = fw.super_resolve(self.scene([False, True, True, False], np.nan), self.model())
        np.testing.assert_allclose(result.values[:, 3, 3], [0.41, 0.41, 0.43, 0.43], atol=1e-6)

    def test_is_left_out_where_the_model_does_not_need_it(self) -> None:
        wavelengths = (400.0, 410.0, 420.0, 430.0, 440.0)
        scene = self.scene([True, True, False, True, True], np.nan, wavelengths)
        with pytest.warns(FinewaveWarning, match=r"others are left out \(band 3 \(420 nm\) flagged bad\)"):
            selection = select_bands(scene, self.model())
        assert selection.indices == (0, 1, 3, 4)
        assert selection.fills == ()

    def test_a_good_band_beside_is_taken_instead(self) -> None:
        wavelengths = (400.0, 410.0, 411.0, 430.0, 440.0)
        scene = self.scene([True, False, True, True, True], np.nan, wavelengths)
        with pytest.warns(FinewaveWarning, match="left out"):
            selection = select_bands(scene, self.model())
        assert selection.indices == (0, 2, 3, 4)
        assert selection.fills == ()

    def test_all_flagged(self) -> None:
        with pytest.raises(InputError, match="all bands that untrained takes are flagged bad"):
            select_bands(self.scene([False] * 4, 1.0), self.model())

    def test_dask_files_and_processes_fill_the_same(self, tmp_path: Path) -> None:
        scene = self.scene([True, False, True, True], 7.7)
        scene.values += np.random.default_rng(0).random((1, 5, 6), dtype=np.float32) / 10
        fw.save_scene(scene, tmp_path / "scene.tif")
        self.model().save(tmp_path / "model")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = fw.super_resolve(scene, self.model())
            lazy = fw.super_resolve(scene.chunk({"y": 2}), self.model(), tile=2)
            predict_file(tmp_path / "scene.tif", tmp_path / "out.tif", tmp_path / "model", tile=3)
            selection = select_bands(scene, self.model())
        np.testing.assert_allclose(lazy.values, expected.values, atol=1e-5)
        np.testing.assert_allclose(fw.open_scene(tmp_path / "out.tif").values, expected.values, atol=1e-5)
        again = pickle.loads(pickle.dumps(selection))
        np.testing.assert_array_equal(filled(scene.values, again.fills), filled(scene.values, selection.fills))

    def test_missing_in_one_band_is_missing_in_what_depends_on_it(self) -> None:
        scene = self.scene([True] * 4, 0.0)
        scene.values[1, 2, 3] = np.nan
        with pytest.warns(FinewaveWarning, match="1 of 30 pixels are NaN"):
            result = fw.super_resolve(scene, self.model())
        missing = np.isnan(result.values)
        assert missing[1, 4:6, 6:8].all()
        assert missing.sum() == 4  # bicubic interpolation is band by band
        np.testing.assert_allclose(result.values[2][~missing[2]], 0.43, atol=1e-6)

    def test_unflagged_band_without_any_value_is_named(self, tmp_path: Path) -> None:
        values = np.random.default_rng(0).random((3, 8, 8), dtype=np.float32)
        values[1] = np.nan
        scene = make_scene(values, [600, 540, 460])
        with pytest.warns(FinewaveWarning, match=r"band 2 \(540 nm\) has no value in any checked pixel .* flag it bad"):
            fw.super_resolve(scene, fw.load_model(save_model(tmp_path / "model")))


@pytest.mark.cases
class TestCases:
    def test_blue_first(self, cases: Path) -> None:
        folder, model = cases / "A1_band_order_bgr", fw.load_model("mstpp-cave")
        scenes = [fw.open_scene(folder / f"{name}.tif")[:, :16, :16] for name in ("rgb", "bgr_named")]
        with warnings.catch_warnings():
            warnings.simplefilter("error", FinewaveWarning)
            first, second = (fw.super_resolve(scene, model) for scene in scenes)
        np.testing.assert_array_equal(first.values, second.values)

    def test_bad_band_acts_on_no_other(self, cases: Path) -> None:
        net = fw.create_model("bicubic", scale=2, hs_bands=31)
        model = Model(net, describe(net, wavelengths_nm=list(np.arange(400.0, 701, 10))))
        results = []
        for name in ("clean", "bad", "bad_nan"):
            with pytest.warns(FinewaveWarning, match=r"flagged bad in the scene: band 13 \(520 nm\)"):
                results.append(
                    fw.super_resolve(fw.open_scene(cases / "A2_bad_band_used" / f"{name}.tif"), model).values
                )
        assert np.isfinite(results[0]).all()
        np.testing.assert_array_equal(results[1], results[0])
        np.testing.assert_array_equal(results[2], results[0])
        np.testing.assert_allclose(results[0][12], (results[0][11] + results[0][13]) / 2, atol=1e-6)
