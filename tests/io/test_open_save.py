"""What holds for every format: round trips, laziness, bad input, atomic output."""

from __future__ import annotations

import errno
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import finewave as fw
from finewave.errors import InputError
from finewave.io.open_save import FORMATS, load_scene, open_scene, save_scene
from finewave.scene import make_scene
from finewave.warnings import FinewaveWarning
from tests.io.scene_helpers import assert_same_scene, cut, full_disk, full_scene, names_in

# Name and keywords of an output in each format that holds any scene.
OUTPUTS = [
    pytest.param("scene.tif", {}, id="geotiff"),
    pytest.param("scene.tif", {"cog": True}, id="cog"),
    pytest.param("scene.img", {}, id="envi"),
    pytest.param("scene.bil", {"interleave": "bil"}, id="envi-bil"),
    pytest.param("scene.nc", {}, id="netcdf"),
    pytest.param("scene.zarr", {}, id="zarr2"),
    pytest.param("scene.zarr", {"zarr_format": 3}, id="zarr3"),
    pytest.param("scene.h5", {}, id="hdf5"),
    pytest.param("scene.mat", {}, id="matlab5"),
    pytest.param("scene.mat", {"version": "7.3"}, id="matlab73"),
]
ALL_OUTPUTS = [
    *OUTPUTS,
    pytest.param("scene.png", {}, id="png"),
    pytest.param("scene.png", {"dtype": "uint16"}, id="png16"),
    pytest.param("scene.jpg", {}, id="jpeg"),
]


@pytest.mark.parametrize(("name", "options"), OUTPUTS)
class TestRoundTrip:
    def test_everything_survives(self, tmp_path: Path, name: str, options: dict) -> None:
        scene = full_scene()
        save_scene(scene, tmp_path / name, **options)
        assert_same_scene(open_scene(tmp_path / name), scene)

    def test_nothing_is_invented(self, tmp_path: Path, name: str, options: dict) -> None:
        scene = make_scene(np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 3, 4))
        save_scene(scene, tmp_path / name, **options)
        result = open_scene(tmp_path / name)
        assert_same_scene(result, scene)
        assert result.attrs == {}

    def test_scaled_integers(self, tmp_path: Path, name: str, options: dict) -> None:
        scene = full_scene()
        save_scene(scene, tmp_path / name, dtype="int16", full_scale=5000, nodata=-7, **options)
        first = open_scene(tmp_path / name)
        assert_same_scene(first, scene, tolerance=0.5001 / 5000)
        assert first.dtype == np.float32
        assert np.dtype(first.encoding["dtype"]) == np.int16
        assert first.encoding["scale_factor"] == pytest.approx(1 / 5000, rel=1e-12)
        assert first.encoding["_FillValue"] == -7
        # A scene from scaled integers becomes the same scaled integers again without being told.
        save_scene(first, tmp_path / f"again_{name}", **options)
        again = open_scene(tmp_path / f"again_{name}")
        assert_same_scene(again, first)
        assert again.encoding["_FillValue"] == -7
        assert np.dtype(again.encoding["dtype"]) == np.int16

    def test_offset_survives(self, tmp_path: Path, name: str, options: dict) -> None:
        scene = full_scene()
        scene.encoding.update(dtype="uint16", scale_factor=0.0001, add_offset=-0.1, _FillValue=0)
        with warnings.catch_warnings():
            warnings.simplefilter("error", FinewaveWarning)
            save_scene(scene, tmp_path / name, **options)
        result = open_scene(tmp_path / name)
        assert_same_scene(result, scene, tolerance=0.5001e-4)
        assert result.encoding["add_offset"] == -0.1
        assert result.encoding["_FillValue"] == 0

    def test_double_precision_survives(self, tmp_path: Path, name: str, options: dict) -> None:
        scene = make_scene(np.full((2, 3, 4), 1 / 3))
        save_scene(scene, tmp_path / name, dtype="float64", **options)
        result = open_scene(tmp_path / name)
        assert result.dtype == np.float64
        assert np.all(result.values == 1 / 3)

    def test_replaces_an_older_file(self, tmp_path: Path, name: str, options: dict) -> None:
        save_scene(make_scene(np.zeros((9, 20, 30), np.float32)), tmp_path / name, **options)
        older = open_scene(tmp_path / name)
        scene = full_scene()
        save_scene(scene, tmp_path / name, **options)
        assert_same_scene(open_scene(tmp_path / name), scene)
        older.close()
        assert not [each for each in names_in(tmp_path) if each.startswith(".")]

    def test_can_be_saved_over_itself(self, tmp_path: Path, name: str, options: dict) -> None:
        scene = full_scene()
        save_scene(scene, tmp_path / name, **options)
        save_scene(open_scene(tmp_path / name), tmp_path / name, **options)
        assert_same_scene(open_scene(tmp_path / name), scene)

    def test_cut_scene_has_its_own_place(self, tmp_path: Path, name: str, options: dict) -> None:
        scene = full_scene().isel(y=slice(2, 6), x=slice(1, 4), band=[0, 2])
        save_scene(scene, tmp_path / name, **options)
        result = open_scene(tmp_path / name)
        assert result.rio.transform().c == 500_010
        assert result.rio.transform().f == 3_999_980
        np.testing.assert_array_equal(result.coords["wavelength"], [450, 650])
        np.testing.assert_array_equal(result.coords["x"], scene.coords["x"])


@pytest.mark.parametrize(("name", "options"), ALL_OUTPUTS)
class TestAtomicOutput:
    def test_full_disk_leaves_nothing(
        self, tmp_path: Path, name: str, options: dict, capfd: pytest.CaptureFixture
    ) -> None:
        rng = np.random.default_rng(0)
        scene = make_scene(rng.random((3, 60, 50), np.float32))
        with (
            full_disk(),
            pytest.raises(InputError, match=r"cannot write .*scene\.\w+: .*(too large|disk full)"),
        ):
            save_scene(scene, tmp_path / name, **options)
        assert names_in(tmp_path) == set()
        # The error is the one line that the user sees.
        assert capfd.readouterr().err == ""

    def test_full_disk_keeps_the_older_file(self, tmp_path: Path, name: str, options: dict) -> None:
        rng = np.random.default_rng(0)
        older = make_scene(np.full((3, 4, 4), 0.5, np.float32))
        save_scene(older, tmp_path / name, **options)
        before, content = names_in(tmp_path), open_scene(tmp_path / name).values
        with full_disk(), pytest.raises(InputError):
            save_scene(make_scene(rng.random((3, 60, 50), np.float32)), tmp_path / name, **options)
        assert names_in(tmp_path) == before
        np.testing.assert_array_equal(open_scene(tmp_path / name).values, content)

    def test_interrupted_while_computing(
        self, tmp_path: Path, name: str, options: dict, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("finewave.io.atomic._publish", interrupt)
        with pytest.raises(KeyboardInterrupt):
            save_scene(make_scene(np.zeros((3, 4, 4), np.float32)), tmp_path / name, **options)
        assert names_in(tmp_path) == set()

    @pytest.mark.parametrize(
        ("number", "words"),
        [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "permission denied"), (errno.EROFS, "read-only")],
    )
    def test_system_says_no(
        self,
        tmp_path: Path,
        name: str,
        options: dict,
        number: int,
        words: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise OSError(number, "refused")

        monkeypatch.setattr("finewave.io.atomic.tempfile.mkdtemp", refuse)
        with pytest.raises(InputError, match=f"cannot write .*{words}"):
            save_scene(make_scene(np.zeros((3, 4, 4), np.float32)), tmp_path / name, **options)
        assert names_in(tmp_path) == set()

    def test_folder_is_missing(self, tmp_path: Path, name: str, options: dict) -> None:
        with pytest.raises(InputError, match="does not exist; create it first"):
            save_scene(make_scene(np.zeros((3, 4, 4), np.float32)), tmp_path / "no" / name, **options)
        assert names_in(tmp_path) == set()

    def test_folder_is_a_file(self, tmp_path: Path, name: str, options: dict) -> None:
        (tmp_path / "file").write_text("x")
        with pytest.raises(InputError, match="is a file, not a folder"):
            save_scene(make_scene(np.zeros((3, 4, 4), np.float32)), tmp_path / "file" / name, **options)


def test_fault_while_computing_is_not_blamed_on_the_disk(tmp_path: Path) -> None:
    class Failing:
        shape, dtype, ndim = (1, 3, 3), np.dtype(np.float32), 3

        def __array_function__(self, *_: object) -> None: ...

        def __array_ufunc__(self, *_: object) -> None: ...

        def __getitem__(self, key: object) -> Failing:
            return self

        def __array__(self, *_: object, **__: object) -> np.ndarray:
            raise RuntimeError("the model failed")

    import xarray as xr

    scene = make_scene(xr.Variable(("band", "y", "x"), Failing()))
    with pytest.raises(RuntimeError, match="the model failed"):
        save_scene(scene, tmp_path / "scene.tif")
    assert names_in(tmp_path) == set()


@pytest.mark.parametrize("name", ["scene.tif", "scene.img", "scene.nc", "scene.zarr", "scene.h5"])
def test_opening_reads_no_values(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    save_scene(full_scene(), tmp_path / name)
    from finewave.io.formats.values.lazy import LazyValues

    read: list[object] = []
    whole = LazyValues._block
    monkeypatch.setattr(LazyValues, "_block", lambda self, key: read.append(key) or whole(self, key))
    scene = open_scene(tmp_path / name)
    corner = scene.isel(y=slice(0, 2), x=slice(1, 3))
    assert read == []
    assert corner.values.shape == (4, 2, 2)
    assert len(read) == 1
    assert read[0][1:] == (slice(0, 2, 1), slice(1, 3, 1))


@pytest.mark.parametrize("name", ["scene.tif", "scene.img", "scene.nc", "scene.zarr", "scene.h5", "v73.mat"])
@pytest.mark.parametrize(
    "index",
    [
        {"band": 2},
        {"band": [3, 0]},
        {"band": slice(None, None, -2), "y": slice(5, 1, -1)},
        {"y": -1, "x": [4, 1]},
        {"x": slice(0, 0)},
    ],
)
def test_lazy_indexing_agrees_with_numpy(tmp_path: Path, name: str, index: dict) -> None:
    scene = full_scene()
    save_scene(scene, tmp_path / name, **({"version": "7.3"} if name == "v73.mat" else {}))
    np.testing.assert_array_equal(open_scene(tmp_path / name).isel(index).values, scene.isel(index).values)


class TestBadInput:
    def test_missing_file(self, tmp_path: Path) -> None:
        (tmp_path / "scene.tif").write_text("x")
        with pytest.raises(InputError, match=r"no such file: .*scnee\.tif; did you mean scene\.tif\?"):
            open_scene(tmp_path / "scnee.tif")

    @pytest.mark.parametrize("extension", [e for each in FORMATS for e in each.extensions])
    def test_empty_file(self, tmp_path: Path, extension: str) -> None:
        path = tmp_path / f"scene{extension}"
        path.write_bytes(b"")
        with pytest.raises(InputError, match="scene"):
            open_scene(path)

    @pytest.mark.parametrize("extension", [e for each in FORMATS for e in each.extensions])
    def test_text_under_another_name(self, tmp_path: Path, extension: str) -> None:
        path = tmp_path / f"scene{extension}"
        path.write_text("This is not an image.\n" * 40)
        with pytest.raises(InputError) as caught:
            load_scene(path)
        assert "scene" in str(caught.value)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("keep", [0.02, 0.5, 0.9])
    @pytest.mark.parametrize(
        ("name", "options"),
        [each for each in ALL_OUTPUTS if "zarr" not in str(each.values[0])],
    )
    def test_truncated(self, tmp_path: Path, name: str, options: dict, keep: float) -> None:
        rng = np.random.default_rng(1)
        save_scene(make_scene(rng.random((3, 64, 48), np.float32)), tmp_path / name, **options)
        cut(tmp_path / name, keep)
        with pytest.raises(InputError, match=r"cannot read .*scene\.") as caught:
            load_scene(tmp_path / name)
        assert "\n" not in str(caught.value)

    def test_damaged_zarr_chunk(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(1)
        save_scene(make_scene(rng.random((3, 64, 48), np.float32)), tmp_path / "scene.zarr")
        cut(tmp_path / "scene.zarr" / "scene" / "0.0.0")
        with pytest.raises(InputError, match=r"cannot read .*scene\.zarr"):
            load_scene(tmp_path / "scene.zarr")

    @pytest.mark.parametrize("name", ["scene.tif", "scene.nc", "scene.h5"])
    def test_values_of_a_lazy_scene_fail_in_the_users_terms(self, tmp_path: Path, name: str) -> None:
        rng = np.random.default_rng(1)
        save_scene(make_scene(rng.random((3, 64, 48), np.float32)), tmp_path / name)
        # The middle of the values is overwritten: the index is whole, the compressed data is not. (A Zarr
        # chunk has no check sum, where only truncation shows.)
        damaged = tmp_path / name
        content = damaged.read_bytes()
        middle = len(content) // 2
        damaged.write_bytes(content[:middle] + b"\xff" * 900 + content[middle + 900 :])
        scene = open_scene(tmp_path / name)
        with pytest.raises(InputError, match=f"cannot read .*{name} as .*damaged"):
            scene.isel(y=slice(0, 60)).values  # noqa: B018 - reading is what is tested
        scene.close()

    def test_unknown_extension(self, tmp_path: Path) -> None:
        (tmp_path / "scene.tiv").write_text("x")
        with pytest.raises(InputError, match=r"unknown extension '\.tiv'; did you mean '\.tif'\?.*\.zarr"):
            open_scene(tmp_path / "scene.tiv")
        with pytest.raises(InputError, match=r"unknown extension '\.docx'.*\.tif"):
            save_scene(full_scene(), tmp_path / "scene.docx")
        with pytest.raises(InputError, match=r"has no extension; supported: .*\.png"):
            save_scene(full_scene(), tmp_path / "scene")

    def test_output_is_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "scene.tif").mkdir()
        with pytest.raises(InputError, match="it is a folder"):
            save_scene(full_scene(), tmp_path / "scene.tif")

    def test_unknown_option(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="unknown option for GeoTIFF 'compres'; did you mean 'compress'"):
            save_scene(full_scene(), tmp_path / "scene.tif", compres="lzw")

    @pytest.mark.parametrize(
        ("keywords", "words"),
        [
            ({"dtype": "float23"}, "unknown dtype 'float23'"),
            ({"dtype": "complex64"}, "cannot be stored as complex64"),
            ({"dtype": "uint8", "nodata": 300}, "nodata=300 does not fit uint8"),
            ({"full_scale": 0}, "scale= .* must be positive"),
        ],
    )
    def test_storage_that_cannot_be(self, tmp_path: Path, keywords: dict, words: str) -> None:
        with pytest.raises(InputError, match=words):
            save_scene(full_scene(), tmp_path / "scene.tif", **keywords)
        assert names_in(tmp_path) == set()

    def test_variable_of_a_format_without(self, tmp_path: Path) -> None:
        save_scene(full_scene(), tmp_path / "scene.tif")
        with pytest.raises(InputError, match=r"variable= .*has no meaning"):
            open_scene(tmp_path / "scene.tif", variable="a")

    def test_chunks_without_dask(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "dask", None)
        monkeypatch.setitem(sys.modules, "dask.array", None)
        save_scene(full_scene(), tmp_path / "scene.tif")
        with pytest.raises(InputError, match="chunks= needs dask"):
            open_scene(tmp_path / "scene.tif", chunks={"y": 2})


class TestWavelengths:
    def test_given_as_numbers_replace_those_of_the_file(self, tmp_path: Path) -> None:
        save_scene(full_scene(), tmp_path / "scene.tif")
        scene = open_scene(tmp_path / "scene.tif", wavelengths=[1, 2, 3, 4.5])
        np.testing.assert_array_equal(scene.coords["wavelength"], [1000, 2000, 3000, 4500])
        assert scene.coords["wavelength"].attrs["units"] == "nm"

    def test_given_as_csv(self, tmp_path: Path) -> None:
        save_scene(make_scene(np.ones((3, 2, 2), np.float32)), tmp_path / "scene.nc")
        (tmp_path / "bands.csv").write_text("name,wavelength_nm\nb,400\ng,500.5\nr,600\n")
        scene = open_scene(tmp_path / "scene.nc", wavelengths=tmp_path / "bands.csv")
        np.testing.assert_array_equal(scene.coords["wavelength"], [400, 500.5, 600])

    @pytest.mark.parametrize("name", ["scene.tif", "scene.nc", "scene.mat", "scene.png"])
    def test_wrong_count(self, tmp_path: Path, name: str) -> None:
        save_scene(make_scene(np.ones((3, 5, 4), np.float32)), tmp_path / name)
        with pytest.raises(InputError, match="2 wavelengths for 3 bands"):
            open_scene(tmp_path / name, wavelengths=[400, 500])


class TestScale:
    def test_stated_scale_comes_before_that_of_the_file(self, tmp_path: Path) -> None:
        scene = make_scene(np.full((1, 4, 3), 0.5, np.float32))
        for name in ("a.tif", "a.img", "a.nc", "a.zarr", "a.h5", "a.mat"):
            save_scene(scene, tmp_path / name, dtype="uint16", full_scale=1000)
            assert np.all(open_scene(tmp_path / name, full_scale=1).values == 500), name
            assert open_scene(tmp_path / name, full_scale=1).encoding.get("scale_factor", 1.0) == 1.0

    @pytest.mark.parametrize("name", ["a.tif", "a.img", "a.nc", "a.zarr", "a.h5", "a.mat"])
    @pytest.mark.parametrize(
        ("dtype", "top", "assumed"),
        [
            ("uint8", 200, 255),
            ("int16", 4000, 10000),
            ("uint16", 20000, 10000),
            ("uint16", 24000, 10000),
            ("uint16", 50000, 65535),
            ("int32", 9000, 10000),
        ],
    )
    def test_assumed_for_integers(self, tmp_path: Path, name: str, dtype: str, top: int, assumed: float) -> None:
        numbers = np.zeros((2, 4, 3), dtype)
        numbers[1, 2, 1] = top
        save_scene(make_scene(numbers, [500, 600], transform=(1, 0, 7, 0, -1, 7)), tmp_path / name)
        with pytest.warns(FinewaveWarning, match=f"assumed that {assumed} represents 1.0 .*scale="):
            scene = open_scene(tmp_path / name)
        assert scene.values.max() == pytest.approx(top / assumed, rel=1e-6)
        assert scene.encoding["scale_factor"] == 1 / assumed

    def test_no_assumption_fits(self, tmp_path: Path) -> None:
        save_scene(make_scene(np.full((1, 2, 2), 70000, np.int32)), tmp_path / "a.tif")
        with pytest.raises(InputError, match=r"up to 70000 .*state it.*scale= of open_scene, --full-scale"):
            open_scene(tmp_path / "a.tif")
        assert open_scene(tmp_path / "a.tif", full_scale=70000).values.max() == 1

    def test_floats_are_left_alone(self, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
        save_scene(make_scene(np.full((1, 2, 2), 300, np.float32)), tmp_path / "a.tif")
        assert np.all(open_scene(tmp_path / "a.tif").values == 300)
        assert not [each for each in recwarn if each.category is FinewaveWarning]


class TestLoadScene:
    def test_infinite_becomes_missing_with_counts(self, tmp_path: Path) -> None:
        values = np.ones((1, 3, 3), np.float32)
        values[0, 0, :] = np.inf, -np.inf, np.nan
        save_scene(make_scene(values, [500], attrs={"a": "b"}), tmp_path / "a.nc")
        with pytest.warns(FinewaveWarning) as caught:
            scene = load_scene(tmp_path / "a.nc")
        said = [str(each.message) for each in caught]
        assert any("2 infinite values" in each for each in said)
        assert any("3 of 9 values are missing" in each for each in said)
        assert np.isnan(scene.values).sum() == 3
        assert scene.attrs == {"a": "b"}
        assert scene.encoding["dtype"] == "float32"

    def test_all_zero(self, tmp_path: Path) -> None:
        save_scene(make_scene(np.zeros((1, 3, 3), np.float32)), tmp_path / "a.tif")
        with pytest.warns(FinewaveWarning, match="no value differs from zero"):
            load_scene(tmp_path / "a.tif")

    @pytest.mark.parametrize(("name", "options"), OUTPUTS)
    def test_single_pixel(self, tmp_path: Path, name: str, options: dict) -> None:
        pixel = make_scene(np.full((2, 1, 1), 0.5, np.float32), crs="EPSG:4326", transform=(2, 0, 7, 0, -2, 9))
        save_scene(pixel, tmp_path / name, **options)
        with pytest.warns(FinewaveWarning, match="single pixel"):
            scene = load_scene(tmp_path / name)
        assert_same_scene(scene, pixel)

    def test_good_file_says_nothing(self, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
        save_scene(make_scene(np.ones((1, 3, 3), np.float32)), tmp_path / "a.tif")
        load_scene(tmp_path / "a.tif")
        assert [each for each in recwarn if not issubclass(each.category, PendingDeprecationWarning)] == []


class TestIntegersThatDoNotFit:
    def test_values_are_clipped_with_a_count(self, tmp_path: Path) -> None:
        scene = make_scene(np.array([[[-0.5, 0.5, 9.0]]], np.float32))
        with pytest.warns(FinewaveWarning, match="2 values lie outside what uint16 can hold"):
            save_scene(scene, tmp_path / "a.tif", dtype="uint16", full_scale=10000)
        np.testing.assert_allclose(open_scene(tmp_path / "a.tif").values.ravel(), [0, 0.5, 6.5534])

    def test_value_on_nodata_moves_to_the_number_beside(self, tmp_path: Path) -> None:
        scene = make_scene(np.array([[[0.0, 0.5, np.nan]]], np.float32))
        for nodata, lowest in ((0, 0.001), (500, 0.0)):
            save_scene(scene, tmp_path / "a.tif", dtype="uint16", full_scale=1000, nodata=nodata)
            result = open_scene(tmp_path / "a.tif").values.ravel()
            np.testing.assert_allclose(result, [lowest, 0.5 if nodata == 0 else 0.501, np.nan])

    def test_bytes_have_no_room_for_missing_values(self, tmp_path: Path) -> None:
        scene = make_scene(np.array([[[0.0, 1.0, np.nan]]], np.float32))
        with pytest.warns(FinewaveWarning, match="1 missing values were written as 0"):
            save_scene(scene, tmp_path / "a.tif", dtype="uint8")
        np.testing.assert_allclose(open_scene(tmp_path / "a.tif").values.ravel(), [0, 1, 0])

    def test_nodata_is_chosen_where_there_is_room(self, tmp_path: Path) -> None:
        scene = make_scene(np.array([[[0.0, 1.0, np.nan]]], np.float32))
        for dtype, nodata in (("int16", -32768), ("uint16", 65535), ("int32", -(2**31))):
            save_scene(scene, tmp_path / "a.tif", dtype=dtype)
            result = open_scene(tmp_path / "a.tif")
            assert result.encoding["_FillValue"] == nodata
            np.testing.assert_allclose(result.values.ravel(), [0, 1, np.nan])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16"])
def test_reflectance_fits_every_type(dtype: str, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    scene = make_scene(np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 3, 4))
    save_scene(scene, tmp_path / "a.tif", dtype=dtype)
    steps = min(10000, np.iinfo(dtype).max)
    np.testing.assert_allclose(open_scene(tmp_path / "a.tif").values, scene.values, atol=0.51 / steps)
    assert not [each for each in recwarn if issubclass(each.category, FinewaveWarning)]


def test_importing_is_light() -> None:
    heavy = ("xarray", "rasterio", "h5py", "zarr", "scipy", "torch", "imageio", "numpy")
    code = f"import finewave.io.open_save, sys; print([m for m in {heavy!r} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_public_names() -> None:
    assert fw.open_scene is open_scene
    assert fw.save_scene is save_scene


def test_the_former_name_of_full_scale(tmp_path: Path) -> None:
    scene = full_scene()
    save_scene(scene, tmp_path / "new.tif", dtype="uint16", full_scale=5000)
    assert open_scene(tmp_path / "new.tif").encoding["scale_factor"] == pytest.approx(1 / 5000)
    with pytest.raises(InputError, match=r"the stored number that represents 1\.0 is full_scale="):
        save_scene(scene, tmp_path / "former.tif", dtype="uint16", scale=5000)
    assert not (tmp_path / "former.tif").exists()
    with pytest.warns(DeprecationWarning, match="is now full_scale="):
        former = open_scene(tmp_path / "new.tif", scale=2500)
    np.testing.assert_array_equal(open_scene(tmp_path / "new.tif", full_scale=2500), former)
    with pytest.raises(InputError, match="are the same option"):
        open_scene(tmp_path / "new.tif", full_scale=2500, scale=2500)


def test_gdal_itself_writes_nothing_where_a_file_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.hdf").write_bytes(b"\x0e\x03\x13\x01" + bytes(100))
    with pytest.raises(fw.InputError, match="HDF4"):
        fw.open_scene(tmp_path / "a.hdf")
    assert capfd.readouterr().err == ""
