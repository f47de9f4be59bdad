"""Weights for any sensor on scenes and files: whose bands, which wavelengths, how much finer, and what is refused."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from affine import Affine
from click.testing import CliRunner

import finewave as fw
from finewave.cli import main
from finewave.datasets.store import prepared_folder
from finewave.inference import any_scale
from finewave.inference.any_scale import area_averaged, enlarged_folder
from finewave.inference.options import PredictOptions
from finewave.inference.predict import predict_file
from finewave.inference.sensor_choice import model_for
from finewave.io.sole_writer import sole_writer
from finewave.physics.sensors.sensor import Sensor
from finewave.scene import make_scene
from finewave.systems.any_sensor.network import AnySensor
from finewave.systems.registry import create_model
from finewave.warnings import FinewaveWarning
from finewave.zoo.any_sensor import covered_by, for_sensor
from finewave.zoo.card import describe
from finewave.zoo.model import Model

NM = np.concatenate([np.arange(400.0, 701.0, 10.0), np.arange(800.0, 901.0, 10.0)])
"""With a gap, as of water vapour."""
BROAD = {"blue": (480.0, 60.0), "green": (560.0, 50.0), "red": (650.0, 60.0)}


def spectra(seed: int, height: int, width: int) -> np.ndarray:
    """Smooth spectra (C, height, width) of smooth images."""
    random = np.random.default_rng(seed)
    pure = np.stack([np.exp(-(((NM - centre) / 120) ** 2)) for centre in (420, 520, 600, 680, 850)])
    y, x = np.mgrid[:height, :width]
    shares = [0.3 + 0.25 * np.sin(y / random.uniform(3, 9) + x / random.uniform(3, 9) + k) for k in range(5)]
    return (0.05 + 0.4 * np.einsum("kyx,kc->cyx", np.stack(shares), pure)).astype(np.float32)


def yaml_of(folder: Path, bands: dict[str, tuple[float, float]], name: str = "camera") -> str:
    lines = [f"  {band}: {{centre_nm: {centre}, width_nm: {width}}}" for band, (centre, width) in bands.items()]
    path = folder / f"{name}.yaml"
    path.write_text("\n".join([f"name: {name}", "bands:", *lines, ""]))
    return str(path)


def observed(whose: Any, seed: int = 5, size: tuple[int, int] = (20, 23), **attrs: Any) -> Any:
    known = fw.get_sensor(whose)
    values = np.einsum("kc,cyx->kyx", known.response(NM), spectra(seed, *size)).astype(np.float32)
    place = Affine(30, 0, 360_000, 0, -30, 5_800_000)
    return make_scene(
        values, known.centres, band_names=list(known.bands), crs="EPSG:32633", transform=place, attrs=attrs
    )


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def save_weights(folder: Path, name: str, brighter: float = 0.0, quantity: str | None = None) -> Path:
    """Save weights with a library of 42 bands, trained for `BROAD`."""
    camera = yaml_of(folder, BROAD)
    response = torch.from_numpy(fw.get_sensor(camera).response(NM)).float()
    torch.manual_seed(0)
    options = {"centres": 60, "windows": [3]}
    net = create_model(
        "any-sensor", ms_bands=3, hs_bands=len(NM), ssr_options=options, windows=[3], spectra=500, components=20
    )
    images = [torch.from_numpy(spectra(seed, 24, 24) + np.float32(brighter))[None] for seed in (1, 2)]
    net.prepare_from([{"hr_hsi": each, "hr_msi": torch.einsum("kc,bcyx->bkyx", response, each)} for each in images], 0)
    card = describe(
        net, name=name, wavelengths_nm=NM.tolist(), ms_bands=list(BROAD), sensor=camera,
        ms_wavelengths_nm=[centre for centre, _ in BROAD.values()], degradation={"kernel": "gaussian", "scale": 1},
        data={"dataset": "toy", "quantity": quantity, "unreliable_nm": [[400.0, 415.0]]},
    )  # fmt: skip
    return Model(net.eval(), card).save(folder / name)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights for any sensor."""
    return save_weights(tmp_path_factory.mktemp("weights"), "any-sensor-toy")


def test_pixels_choose_among_weights(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bright = save_weights(tmp_path, "any-sensor-bright", 0.5)
    monkeypatch.setattr("finewave.inference.sensor_choice.weights_with_library", lambda: [str(bright), str(weights)])
    camera = weights_camera(weights)
    for scene, name in ((observed(camera), "any-sensor-toy"), (observed(camera) + 0.5, "any-sensor-bright")):
        with pytest.warns(FinewaveWarning, match=f"{name} answers, whose pixels are most like"):
            result = fw.super_resolve(scene, "any-sensor", sensor=camera, wavelengths=[500.0, 600.0])
        assert result.attrs["model"] == name
    with pytest.warns(FinewaveWarning, match="answers, the first of .* as none of the scene's pixels"):
        model_for("any-sensor", observed(camera) * np.nan, PredictOptions(sensor=camera))
    with pytest.raises(fw.InputError, match="lie outside of 395-905 nm"):
        fw.super_resolve(observed(camera), "any-sensor", sensor=camera, wavelengths=[1200.0])
    swir = yaml_of(tmp_path, {"a": (1600, 40), "b": (2200, 40)}, "swir")
    with pytest.raises(fw.InputError, match="cover less than half of these bands"):
        fw.super_resolve(observed(camera)[:2], "any-sensor", sensor=swir)


def test_weights_of_another_quantity_are_not_chosen(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However near their pixels are: spectra of radiance are not those of reflectance."""
    radiance = save_weights(tmp_path, "any-sensor-radiance", quantity="radiance")
    bright = save_weights(tmp_path, "any-sensor-bright", 0.5)
    names = [str(radiance), str(bright)]
    monkeypatch.setattr("finewave.inference.sensor_choice.weights_with_library", lambda: names)
    camera = weights_camera(weights)
    scene = observed(camera)
    for quantity in (None, "surface reflectance", "top-of-atmosphere reflectance"):
        scene.attrs["quantity"] = quantity
        assert model_for("any-sensor", scene, PredictOptions(sensor=camera)).name == "any-sensor-bright"
    scene.attrs["quantity"] = "radiance in W/(m2 sr um)"
    assert model_for("any-sensor", scene, PredictOptions(sensor=camera)).name == "any-sensor-radiance"


def test_a_user_without_a_home_folder_has_no_cache(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    camera = weights_camera(weights)
    assert fw.load_model(weights, sensor=camera, wavelengths=[500.0, 600.0]).card is not None
    fw.list_models(trained=True)
    monkeypatch.delenv("FINEWAVE_PREPARED", raising=False)
    with pytest.raises(fw.InputError, match=r"no home folder .* FINEWAVE_PREPARED"):
        prepared_folder()


def test_another_sensor_and_other_wavelengths(weights: Path, tmp_path: Path) -> None:
    camera = yaml_of(tmp_path, {"a": (450, 40), "b": (530, 40), "c": (610, 40), "d": (680, 30), "e": (850, 40)})
    scene = observed(camera)
    with warnings.catch_warnings():
        warnings.simplefilter("error", FinewaveWarning)
        warnings.filterwarnings("ignore", ".*unlike all", FinewaveWarning)
        result = fw.super_resolve(scene, str(weights), sensor=camera, wavelengths="410:700:5,850")
    np.testing.assert_allclose(result.wavelength.values, [*np.arange(410, 701, 5), 850])
    truth = spectra(5, 20, 23)
    expected = np.stack([np.interp(result.wavelength.values, NM, truth[:, y, x]) for y, x in np.ndindex(20, 23)], 1)
    error = np.sqrt(np.mean((result.values.reshape(len(expected), -1) - expected) ** 2))
    assert error < 0.1 * expected.std()
    assert result.attrs["model"] == "any-sensor-toy"
    np.testing.assert_array_equal(result.good_band.values, result.wavelength.values > 415)
    by_python = fw.load_model(weights, sensor=camera, wavelengths="410:700:5,850")
    np.testing.assert_array_equal(fw.super_resolve(scene, by_python).values, result.values)


def test_output_bands_of_another_sensor_are_its_averages(weights: Path, tmp_path: Path) -> None:
    camera = yaml_of(tmp_path, {"a": (450, 40), "b": (530, 40), "c": (610, 40), "d": (680, 30), "e": (850, 40)})
    other = yaml_of(tmp_path, {"g": (555, 80), "n": (560, 5), "ir": (1600, 50)}, "other")
    scene = observed(camera)
    with pytest.warns(FinewaveWarning, match=r"1 of 3 bands of other.*1600 nm.*left out"):
        result = fw.super_resolve(scene, str(weights), sensor=camera, wavelengths=other)
    whole = fw.super_resolve(scene, str(weights), sensor=camera)
    assert result.sizes["band"] == 2
    response = fw.get_sensor(other).select(["g"]).response(NM)
    np.testing.assert_allclose(result.values[0], np.einsum("c,cyx->yx", response[0], whole.values), atol=2e-4)
    nm = whole.wavelength.values
    np.testing.assert_allclose(result.values[1], whole.values[np.abs(nm - 560).argmin()], atol=2e-4)


def test_bands_in_a_gap_are_made_and_marked(weights: Path) -> None:
    result = fw.super_resolve(observed(weights_camera(weights)), str(weights), wavelengths="690:810:10",
                              sensor=weights_camera(weights))  # fmt: skip
    inside = (result.wavelength.values > 705) & (result.wavelength.values < 795)
    np.testing.assert_array_equal(result.good_band.values, ~inside)


def weights_camera(weights: Path) -> str:
    return str(weights.parent / "camera.yaml")


def test_the_scene_says_whose_bands_it_has(weights: Path, tmp_path: Path) -> None:
    camera = yaml_of(tmp_path, {"a": (450, 40), "b": (530, 40), "c": (610, 40), "d": (1500, 40)})
    by_name = observed(camera_without(camera, tmp_path), sensor=camera)
    stated = fw.super_resolve(by_name, str(weights), sensor=camera_without(camera, tmp_path))
    found = fw.super_resolve(by_name, str(weights))
    np.testing.assert_allclose(found.values, stated.values, atol=1e-6)
    by_width = by_name.assign_coords(fwhm=("band", [40.0, 40.0, 40.0]))
    del by_width.attrs["sensor"]
    np.testing.assert_allclose(fw.super_resolve(by_width, str(weights)).values, stated.values, atol=1e-3)
    with pytest.raises(fw.InputError, match="whose bands the scene has"):
        fw.super_resolve(make_scene(by_name.values[:2]), str(weights), wavelengths=[500.0])


@pytest.mark.parametrize("named", ["emit", "prisma"])
def test_a_product_s_own_centres_are_truer_than_those_of_its_sensor(weights: Path, named: str) -> None:
    """Channels have no names; a product may lack some of them, and its centres may be other ones."""
    scene = observed(weights_camera(weights))
    scene = make_scene(scene.values, scene.wavelength.values, fwhm=[60.0, 50.0, 60.0])
    expected = fw.super_resolve(scene, str(weights)).values
    scene.attrs["sensor"] = named
    np.testing.assert_array_equal(fw.super_resolve(scene, str(weights)).values, expected)


LISTED = (
    *("dove", "dove-r", "superdove", "landsat4", "landsat5", "landsat7", "sentinel2c", "pleiades", "spot6", "spot7"),
    *("rapideye", "modis", "aster", "micasense-rededge-mx", "micasense-altum-pt", "micasense-rededge-mx-dual"),
    *("dji-mavic3m", "dji-p4m", "enmap", "prisma", "emit", "desis"),
)


@pytest.mark.parametrize(
    "name", [name if name in ("landsat7", "modis") else pytest.param(name, marks=pytest.mark.slow) for name in LISTED]
)
def test_every_sensor_observes_and_is_answered(weights: Path, name: str) -> None:
    """What it sees of spectra from 380 to 2520 nm; its bands beyond those of the weights are left out and said."""
    nm = np.arange(380.0, 2521.0, 5.0)
    shape = 0.1 + 0.3 * np.exp(-(((nm - 550) / 150) ** 2)) + 0.2 * np.exp(-(((nm - 1600) / 300) ** 2))
    brightness = np.random.default_rng(0).uniform(0.5, 1.0, (1, 8, 10))
    scene = fw.degrade(make_scene((shape[:, None, None] * brightness).astype(np.float32), nm), scale=2, sensor=name)
    sensor = fw.get_sensor(name)
    assert scene.shape == (len(sensor.bands), 4, 5)
    expected = np.interp(sensor.centres, nm, shape) * float(brightness.mean())
    np.testing.assert_allclose(scene.values.mean((1, 2)), expected, rtol=0.2)  # of broad bands the mean is another
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = fw.super_resolve(scene, str(weights), sensor=name, wavelengths="420:700:20")
    assert result.shape == (15, 4, 5)
    assert np.isfinite(result.values).all()
    left_out = [str(each.message) for each in caught if "lie outside of the spectra" in str(each.message)]
    assert len(left_out) == (len(covered_by(NM.tolist(), sensor)) < len(sensor.bands))
    assert all(len(each) < 400 for each in left_out)


def test_bands_outside_that_are_named_one_by_one_are_refused(weights: Path) -> None:
    scene = make_scene(np.full((3, 9, 9), 0.2, np.float32), [565.0, 660.0, 1650.0])
    with pytest.raises(fw.InputError, match="cover less than half of these bands of landsat4: B5"):
        fw.super_resolve(scene, str(weights), sensor="landsat4:B2,B3,B5")


def test_an_unknown_sensor_is_told_the_ways_to_describe_one(weights: Path, tmp_path: Path) -> None:
    scene = make_scene(np.full((3, 20, 20), 0.2, np.float32), [460.0, 560.0, 660.0])
    fw.save_scene(scene, tmp_path / "in.tif")
    ways = "unknown sensor 'rapidey'; did you mean 'rapideye'.*a YAML file with the centre and width.*or a CSV file"
    for run in (
        lambda: fw.get_sensor("rapidey"),
        lambda: fw.degrade(scene, scale=2, sensor="rapidey"),
        lambda: fw.super_resolve(scene, str(weights), sensor="rapidey"),
        lambda: fw.load_model(weights, sensor="rapidey"),
    ):
        with pytest.raises(fw.InputError, match=ways):
            run()
    file, output = str(tmp_path / "in.tif"), str(tmp_path / "out")
    for command in (
        ["predict", file, "-o", f"{output}.tif", "--model", str(weights), "--sensor", "rapidey"],
        ["fit", file, "-o", output, "--sensor", "rapidey", "--scale", "2"],
        ["anchors", file, "--model", str(weights), "--sensor", "rapidey"],
        ["sensors", "rapidey"],
    ):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 2, result.output
        assert re.search(ways, result.stderr), result.stderr


def camera_without(camera: str, folder: Path) -> str:
    return yaml_of(folder, {"a": (450, 40), "b": (530, 40), "c": (610, 40)}, "three")


def test_a_solution_is_kept_and_a_damaged_one_made_again(weights: Path, home: Path, monkeypatch: Any) -> None:
    model = fw.load_model(weights)
    first = for_sensor(model, weights_camera(weights), "500:600:20")
    (folder,) = (home / ".cache" / "finewave" / "solved").iterdir()
    with monkeypatch.context() as patched:
        patched.setattr(type(model.net), "solved_for", None)
        again = for_sensor(model, weights_camera(weights), "500:600:20")
    assert again.card.wavelengths_nm == first.card.wavelengths_nm == [500, 520, 540, 560, 580, 600]
    x = torch.rand(1, 3, 6, 7)
    assert torch.equal(first.predict(hr_msi=x), again.predict(hr_msi=x))
    (folder / "model.safetensors").write_bytes(b"damaged")
    assert torch.equal(
        for_sensor(model, weights_camera(weights), "500:600:20").predict(hr_msi=x), first.predict(hr_msi=x)
    )


@pytest.mark.parametrize("ratio", [1.0, 4 / 3.7, 2.0, 4 / 1.5, 8 / 4.3])
def test_averages_over_areas(ratio: float) -> None:
    """Plain: the image sampled 240 times finer."""
    image = np.random.default_rng(0).uniform(size=(2, 14, 11)).astype(np.float32)
    height, width = (max(1, round(n / ratio)) for n in image.shape[1:])
    made = area_averaged(
        lambda rows, columns: image[:, rows, columns], (14, 11), ratio, slice(0, height), slice(0, width)
    )
    part = area_averaged(lambda rows, columns: image[:, rows, columns], (14, 11), ratio, slice(2, 4), slice(3, width))
    np.testing.assert_allclose(part, made[:, 2:4, 3:], atol=1e-6)
    fine = np.repeat(np.repeat(image, 60, 1), 60, 2)
    for row, column in ((0, 0), (1, 2), (height - 1, width - 1), (height // 2, 0)):
        area = fine[
            :, round(60 * row * ratio) : round(60 * (row + 1) * ratio),
            round(60 * column * ratio) : round(60 * (column + 1) * ratio),
        ]  # fmt: skip
        np.testing.assert_allclose(made[:, row, column], area.mean((1, 2)), atol=0.02)


@pytest.mark.parametrize("ratio", [1.0, 4 / 3.7, 8 / 4.3])
def test_missing_pixels_do_not_count_in_averages(ratio: float) -> None:
    image = np.random.default_rng(0).uniform(size=(2, 14, 11)).astype(np.float32)
    image[:, 3:7, 4:6] = np.nan
    image[0, 0] = np.inf
    height, width = (max(1, round(n / ratio)) for n in image.shape[1:])
    made = area_averaged(
        lambda rows, columns: image[:, rows, columns], (14, 11), ratio, slice(0, height), slice(0, width)
    )
    fine = np.repeat(np.repeat(np.where(np.isinf(image), np.nan, image), 60, 1), 60, 2)
    for row, column in np.ndindex(height, width):
        area = fine[
            :, round(60 * row * ratio) : round(60 * (row + 1) * ratio),
            round(60 * column * ratio) : round(60 * (column + 1) * ratio),
        ]  # fmt: skip
        for value, part in zip(made[:, row, column], area, strict=True):
            share = np.isfinite(part).mean()
            if abs(share - 0.5) > 0.03:
                assert np.isfinite(value) == (share > 0.5)
            if np.isfinite(value):
                np.testing.assert_allclose(value, np.nanmean(part), atol=0.04)


def test_a_missing_pixel_stays_where_it_is_at_a_scale(weights: Path, tmp_path: Path) -> None:
    scene = observed(weights_camera(weights))
    scene.values[:, 4:7, 10:14] = np.nan
    fw.save_scene(scene, tmp_path / "in.tif")
    predict_file(tmp_path / "in.tif", tmp_path / "out.tif", str(weights), sensor=weights_camera(weights), scale=1.5,
                 wavelengths=[500.0, 600.0])  # fmt: skip
    found = fw.open_scene(tmp_path / "out.tif")
    expected = np.zeros((30, 34), dtype=bool)
    expected[6:10, 15:21] = True  # 6 to 10.5 and 15 to 21
    differs = np.isnan(found.values).any(0) != expected
    assert not differs[:6].any()
    assert differs.sum() <= 6


def test_a_stated_sensor_is_not_doubted(weights: Path, tmp_path: Path) -> None:
    """Of these weights ``wavelengths=`` are those of the result, so no message may ask to state the input's by it."""
    coded = yaml_of(tmp_path, {"B2": (450, 40), "B3": (530, 40), "B4": (610, 40)}, "coded")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fw.super_resolve(observed(coded), str(weights), sensor=coded)
        fw.super_resolve(make_scene(observed(coded).values), str(weights), sensor=coded)
    messages = [str(each.message) for each in caught]
    assert not any("by number alone" in each or "wavelengths=" in each for each in messages)
    assert any("taken in the order of the file" in each for each in messages)


def test_windows_are_wider_at_a_scale_without_a_stated_sensor(weights: Path) -> None:
    from finewave.inference.options import PredictOptions
    from finewave.inference.sensor_choice import model_for

    scene = make_scene(observed(weights_camera(weights)).values)
    model = model_for(fw.load_model(weights), scene, PredictOptions(), pixels=3.7)
    assert isinstance(model.net, AnySensor)
    assert model.net.inner.windows == (11,)


def test_a_scale_that_is_not_whole_on_files_and_in_memory(weights: Path, tmp_path: Path) -> None:
    camera = weights_camera(weights)
    scene = observed(camera, size=(20, 23))
    fw.save_scene(scene, tmp_path / "in.tif")
    options = {"sensor": camera, "scale": 3.7, "wavelengths": "430:690:20"}
    predict_file(tmp_path / "in.tif", tmp_path / "whole.tif", str(weights), **options)
    predict_file(tmp_path / "in.tif", tmp_path / "tiles.tif", str(weights), tile=16, **options)
    whole, tiles = (fw.open_scene(tmp_path / f"{name}.tif") for name in ("whole", "tiles"))
    assert whole.shape == (14, 74, 85)
    transform = whole.rio.transform()
    assert (transform.a, transform.e, transform.c, transform.f) == pytest.approx(
        (30 / 3.7, -30 / 3.7, 360_000, 5_800_000)
    )
    np.testing.assert_allclose(tiles.values, whole.values, atol=2e-3)  # bfloat16 rounds by shape
    memory = fw.super_resolve(scene, str(weights), **options)
    np.testing.assert_allclose(memory.values, whole.values, atol=1e-3)
    assert memory.attrs["upscaling"] == 3.7
    with pytest.raises(fw.InputError, match="makes no band at 900 nm"):
        predict_file(tmp_path / "in.tif", tmp_path / "refused.tif", str(weights), bands=[900.0], **options)
    with pytest.raises(fw.InputError, match="a guide was given"):
        predict_file(tmp_path / "in.tif", tmp_path / "refused.tif", str(weights), guide=tmp_path / "in.tif", **options)
    assert not list(tmp_path.glob(".*")), "nothing hidden is left"
    # observed again, it is the scene, nearly
    x = np.einsum("kc,cyx->kyx", fw.get_sensor(camera).response(NM), spectra(5, 20, 23)).mean((1, 2))
    made = fw.super_resolve(scene, str(weights), sensor=camera, scale=3.7)
    again = np.einsum("kc,cyx->kyx", fw.get_sensor(camera).response(NM), made.values).mean((1, 2))
    np.testing.assert_allclose(again, x, rtol=0.03)


def interrupted_after_the_enlargement(folder: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Begin ``out.tif`` of ``in.tif`` and stop before the spectra; return the options."""
    options = {"sensor": weights_camera(weights), "scale": 1.5, "wavelengths": [500.0, 600.0]}
    fw.save_scene(observed(weights_camera(weights)), folder / "in.tif")
    run_file = any_scale.run_file

    def stopped(source: Any, output: Path, *arguments: Any, **keywords: Any) -> None:
        if output.name == "out.tif":
            raise KeyboardInterrupt
        run_file(source, output, *arguments, **keywords)

    with monkeypatch.context() as patched:
        patched.setattr(any_scale, "run_file", stopped)
        with pytest.raises(KeyboardInterrupt):
            predict_file(folder / "in.tif", folder / "out.tif", str(weights), **options)
    return options


def files_in(folder: Path) -> dict[str, int]:
    return {str(each.relative_to(folder)): each.stat().st_mtime_ns for each in folder.rglob("*") if each.is_file()}


def test_a_typing_error_loses_nothing_that_is_enlarged(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = interrupted_after_the_enlargement(tmp_path, weights, monkeypatch)
    made = files_in(enlarged_folder(tmp_path / "out.tif"))
    assert any(name.startswith("finer.zarr") for name in made)
    for wrong, message in (
        ({"bands": [900.0]}, "makes no band at 900 nm"),
        ({"wavelengths": "300:500:10"}, "lie outside of 395-905 nm"),
        ({"sensor": "sentinel-9"}, "unknown sensor"),
        ({"dtype": "uint99"}, "uint99"),
        ({"nodata": -1.0, "dtype": "uint16"}, "nodata"),
        ({"scale": 2.5}, "unfinished work of another run: scale, weights were different"),
        ({"window": (0, 0, 9, 9)}, "window was different"),
        ({"full_scale": 2.0}, "how it is read was different"),
    ):
        with pytest.raises(fw.InputError, match=message):
            predict_file(tmp_path / "in.tif", tmp_path / "out.tif", str(weights), **{**options, **wrong})
        assert files_in(enlarged_folder(tmp_path / "out.tif")) == made, wrong
    monkeypatch.setattr(any_scale, "_enlarge", None)  # it is not made again
    monkeypatch.chdir(tmp_path)  # the same file by another name
    predict_file("in.tif", tmp_path / "out.tif", str(weights), **options)
    assert not list(tmp_path.glob(".*"))


def test_an_enlargement_by_other_code_is_not_continued(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = interrupted_after_the_enlargement(tmp_path, weights, monkeypatch)
    monkeypatch.setattr(any_scale, "RESULT", any_scale.RESULT + 1)
    with pytest.raises(fw.InputError, match=r"version was different.*--restart"):
        predict_file(tmp_path / "in.tif", tmp_path / "out.tif", str(weights), **options)
    predict_file(tmp_path / "in.tif", tmp_path / "out.tif", str(weights), restart=True, **options)
    assert not list(tmp_path.glob(".*"))


def test_what_cannot_be_written_is_refused_before_anything_is_enlarged(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fw.save_scene(observed(weights_camera(weights)), tmp_path / "in.tif")
    monkeypatch.setattr(any_scale, "_enlarge", None)
    options = {"sensor": weights_camera(weights), "scale": 1.5}
    for wrong in ({"dtype": "uint99"}, {"bands": [1200.0]}):
        with pytest.raises(fw.InputError, match=r"uint99|1200 nm"):
            predict_file(tmp_path / "in.tif", tmp_path / "out.tif", str(weights), **options, **wrong)
    with sole_writer(enlarged_folder(tmp_path / "out.tif")), pytest.raises(fw.InputError, match="another run is writ"):
        predict_file(tmp_path / "in.tif", tmp_path / "out.tif", str(weights), **options)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["home", "in.tif"]


def test_a_full_disk_keeps_what_is_enlarged(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = interrupted_after_the_enlargement(tmp_path, weights, monkeypatch)
    made = files_in(enlarged_folder(tmp_path / "out.tif"))

    def full(*_: Any, **__: Any) -> None:
        raise fw.InputError("the disk is full")

    monkeypatch.setattr(any_scale, "run_file", full)
    with pytest.raises(fw.InputError, match=r"^the disk is full\. What is enlarged so far is kept$"):
        predict_file(tmp_path / "in.tif", tmp_path / "out.tif", str(weights), **options)
    assert files_in(enlarged_folder(tmp_path / "out.tif")) == made


def test_without_a_stated_sensor_weights_are_for_their_own_everywhere(weights: Path, tmp_path: Path) -> None:
    scene = make_scene(observed(weights_camera(weights)).values)
    loaded = fw.load_model(weights, wavelengths=[500.0, 600.0])
    expected = fw.super_resolve(scene, loaded).values
    np.testing.assert_array_equal(fw.super_resolve(scene, str(weights), wavelengths=[500.0, 600.0]).values, expected)
    fw.save_scene(scene, tmp_path / "in.tif")
    predict_file(tmp_path / "in.tif", tmp_path / "out.tif", str(weights), wavelengths=[500.0, 600.0])
    np.testing.assert_array_equal(fw.open_scene(tmp_path / "out.tif").values, expected)
    with pytest.raises(fw.InputError, match="whose bands the scene has"):
        fw.super_resolve(scene, "any-sensor", wavelengths=[500.0, 600.0])


def test_places_to_measure_for_the_bands_of_a_sensor(weights: Path, tmp_path: Path) -> None:
    values = np.full((3, 40, 40), 0.001, np.float32)
    for number, colour in enumerate([(0.6, 0.2, 0.1), (0.1, 0.2, 0.6), (0.2, 0.6, 0.2)]):
        values[:, 3:18, 13 * number + 1 : 13 * number + 12] = np.array(colour)[:, None, None]
    fw.save_scene(make_scene(values), tmp_path / "scene.tif")
    said = ["anchors", str(tmp_path / "scene.tif"), "-n", "2", "--json", "--model"]
    camera = yaml_of(tmp_path, {"a": (450, 40), "b": (530, 40), "c": (610, 40)})
    for more in ([str(weights)], [str(weights), "--sensor", camera]):
        result = CliRunner().invoke(main, [*said, *more])
        assert result.exit_code == 0, result.output
        assert len(json.loads(result.stdout)["places"]) == 2
    for more, word in (
        (["jssunet-cave-x4", "--sensor", camera], "states its own"),
        (["any-sensor"], "whose bands the scene has"),
        (["ridge-knn", "--sensor", camera], "is a baseline"),
    ):
        result = CliRunner().invoke(main, [*said, *more])
        assert result.exit_code == 2, result.output
        assert word in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0}, "scale=0 is out of range"),
        ({"scale": -2.0}, "scale=-2 is out of range"),
        ({"scale": float("nan")}, "scale=nan is out of range"),
        ({"scale": 9}, "scale=9 is out of range; weights for any sensor enlarge by 1 to 8"),
        ({"scale": 2.5, "consistent": True}, "consistent= cannot be had with scale=2.5"),
        ({"wavelengths": "300:500:10"}, r"300, 310, 320.*nm \(--wavelengths\) lie outside of 395-905 nm"),
        ({"wavelengths": "0.3,0.5"}, "wavelengths=300 nm"),
        ({"wavelengths": "500:400:10"}, "is not a list such as 560,665"),
        ({"wavelengths": "400:500:0"}, "is not a list such as 560,665"),
        ({"wavelengths": [500.0, 500.0]}, "names 500 nm twice"),
        ({"wavelengths": "landsatt8"}, "landsatt8"),
        ({"spectra": "enmap"}, "has no meaning for any-sensor"),
    ],
)
def test_what_cannot_be_made_is_refused(weights: Path, options: dict[str, Any], message: str) -> None:
    scene = observed(weights_camera(weights))
    with pytest.raises(fw.InputError, match=message):
        fw.super_resolve(scene, str(weights), sensor=weights_camera(weights), **options)


@pytest.mark.parametrize(
    ("wavelengths", "message"),
    [
        ([500.0], "all over the 3 bands of camera.*1 was asked for: ask for more"),
        ([500.0, 600.0], "2 were asked for"),
        ("420:560:10", r"those asked for cover less than half of red \(650 nm\): ask for more \(--wavelengths\)"),
    ],
)
def test_a_consistent_result_needs_wavelengths_all_over_the_bands(
    weights: Path, wavelengths: Any, message: str
) -> None:
    scene, options = observed(weights_camera(weights)), {"sensor": weights_camera(weights), "consistent": True}
    with pytest.raises(fw.InputError, match=message):
        fw.super_resolve(scene, str(weights), wavelengths=wavelengths, **options)
    fw.super_resolve(scene, str(weights), wavelengths="420:700:10", **options)


def test_sensors_that_cannot_be_served_are_refused(weights: Path, tmp_path: Path) -> None:
    model = fw.load_model(weights)
    infrared = yaml_of(tmp_path, {"a": (500, 40), "b": (600, 40), "swir": (1600, 90)})
    with pytest.raises(fw.InputError, match=r"400-900 nm.*swir \(1600 nm, 0%\); name the others: camera:a,b"):
        for_sensor(model, infrared)
    with pytest.raises(fw.InputError, match="one band, a; any-sensor-toy needs two or more"):
        for_sensor(model, yaml_of(tmp_path, {"a": (500, 40)}))
    with pytest.raises(fw.InputError, match="a and b of camera have the same response"):
        for_sensor(model, yaml_of(tmp_path, {"a": (500, 40), "b": (500, 40)}))
    with pytest.raises(fw.InputError, match="sentinel-9"):
        for_sensor(model, "sentinel-9")
    flat = Sensor("flat", ("a", "b"), np.array([500.0, 510.0, 600.0]), np.array([[1.0, 1, 0], [0, 1.0, 1]]))
    assert for_sensor(model, flat).card.ms_bands == ["a", "b"]
    with pytest.raises(fw.InputError, match="is for the sensor that it was trained on"):
        fw.load_model("sentinel2-enmap", sensor="landsat8")
