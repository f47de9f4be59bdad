"""Baselines by name: built for the bands of the files, with sensor and scale by options or from the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import finewave as fw
from finewave.errors import InputError
from finewave.inference.predict import predict_file
from finewave.io.open_save import load_scene, save_scene
from finewave.physics.sensors import apply_response, get_sensor
from finewave.scene import make_scene, scene_transform
from finewave.systems.registry import create_model
from finewave.warnings import FinewaveWarning
from finewave.zoo.model import Model

NM = np.arange(400.0, 701.0, 20.0)
SENSOR = "nikon-d5100"


def truth(rows: int = 24, columns: int = 36) -> Any:
    """Return a scene of smooth spectra: four endmembers, mixed differently from pixel to pixel."""
    generator = np.random.default_rng(3)
    spectra = np.exp(-(((NM[:, None] - np.array([430, 520, 600, 680])) / 60) ** 2))
    abundances = generator.dirichlet(np.ones(4), (rows, columns))
    values = np.einsum("ck,yxk->cyx", spectra, abundances).astype(np.float32)
    return make_scene(values, NM, crs="EPSG:32631", transform=(10.0, 0.0, 5e5, 0.0, -10.0, 4e6))


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """LR-HSI at a fourth of the resolution, HR-MSI, and the truth."""
    whole = truth()
    paths = tuple(tmp_path / name for name in ("low.nc", "guide.tif", "truth.nc"))
    for path, scene in zip(paths, (fw.degrade(whole, 4), fw.degrade(whole, 1, sensor=SENSOR), whole), strict=True):
        save_scene(scene, path)
    return paths  # type: ignore[return-value]


@pytest.mark.parametrize("name", ["bicubic", "ibp"])
def test_spatial_baselines_take_the_scale(name: str, files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    low, _, _ = files
    predict_file(low, tmp_path / "out.nc", name, scale=4)
    result, scene = load_scene(tmp_path / "out.nc"), load_scene(low)
    expected = Model(create_model(name, scale=4, hs_bands=len(NM)))
    np.testing.assert_allclose(result.values, fw.super_resolve(scene, expected).values, atol=1e-6)
    np.testing.assert_allclose(result.wavelength, NM)
    assert tuple(scene_transform(result))[:6] == (10.0, 0.0, 5e5, 0.0, -10.0, 4e6)
    with pytest.raises(InputError, match=rf"{name} needs to know how many times finer the result is: give --scale"):
        predict_file(low, tmp_path / "none.nc", name)


@pytest.mark.parametrize("name", ["gsa", "cnmf"])
def test_fusion_finds_the_scale_in_the_files(name: str, files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    low, guide, whole = files
    predict_file(low, tmp_path / "out.nc", name, guide=guide)
    predict_file(low, tmp_path / "up.nc", "bicubic", scale=4)
    expected = load_scene(whole).values
    error, floor = (np.abs(load_scene(tmp_path / f"{each}.nc").values - expected).mean() for each in ("out", "up"))
    assert error < 0.7 * floor
    with pytest.raises(InputError, match=f"{name} needs lr_hsi and hr_msi: give the hr_msi with --guide"):
        predict_file(low, tmp_path / "none.nc", name)
    save_scene(load_scene(guide)[:, :22, :36], tmp_path / "small.tif")
    with pytest.warns(FinewaveWarning, match="covers"):
        predict_file(low, tmp_path / "part.nc", name, guide=tmp_path / "small.tif")


def test_a_sensor_lets_a_result_be_consistent(files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    low, guide, _ = files
    predict_file(low, tmp_path / "out.nc", "gsa", guide=guide, sensor=SENSOR, kernel="gaussian", consistent="exact")
    result = load_scene(tmp_path / "out.nc")
    np.testing.assert_allclose(fw.degrade(result, 4).values, load_scene(low).values, atol=1e-3)
    with pytest.raises(
        InputError, match=r"has 13 bands .* the guide 3; name those that it has: --sensor sentinel2a:BAND"
    ):
        predict_file(low, tmp_path / "none.nc", "gsa", guide=guide, sensor="sentinel2a")


@pytest.mark.parametrize("name", ["ridge", "quadratic", "root-polynomial", "knn"])
def test_spectral_baselines_learn_from_a_hyperspectral_file(
    name: str, files: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    _, guide, whole = files
    predict_file(guide, tmp_path / "out.nc", name, sensor=SENSOR, spectra=whole)
    result, expected = load_scene(tmp_path / "out.nc"), load_scene(whole)
    np.testing.assert_allclose(result.wavelength, NM)
    # what three bands cannot tell apart is left: better than the mean spectrum, and what the sensor saw is kept
    residual = np.square(result.values - expected.values).mean()
    assert residual < 0.5 * np.square(expected.values - expected.values.mean((1, 2), keepdims=True)).mean()
    seen = apply_response(get_sensor(SENSOR).response(NM), result)
    np.testing.assert_allclose(seen.values, load_scene(guide).values, atol=2e-2)
    with pytest.raises(InputError, match=r"learns from spectra: give .* --spectra .* finewave fit"):
        predict_file(guide, tmp_path / "none.nc", name, sensor=SENSOR)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gsa", {"spectra": "x"}, "--spectra .* has no meaning for gsa"),
        ("ridge", {"scale": 2}, "--scale .* has no meaning for ridge"),
        ("bicubic", {"scale": 1}, "scale=1 is out of range; it must be an integer >= 2"),
        ("jssunet-photo-x4", {"sensor": SENSOR}, r"--sensor \(sensor=\) is for baselines .*; jssunet-photo-x4 states"),
        ("bicubic", {"scal": 4}, "did you mean"),
    ],
)
def test_options_that_do_not_fit(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fw.super_resolve(truth(8, 8), name, **options)


def test_bands_flagged_bad_are_left_out(files: tuple[Path, Path, Path]) -> None:
    scene = load_scene(files[0])
    good = np.ones(len(NM), bool)
    good[[2, 7]] = False
    flagged = make_scene(scene.values.copy(), NM, good_bands=good)
    flagged.values[[2, 7]] = 77.0
    with pytest.warns(FinewaveWarning, match="flagged bad"):
        result = fw.super_resolve(flagged, "bicubic", scale=4)
    np.testing.assert_allclose(result.wavelength, NM[good])
    plain = fw.super_resolve(scene, "bicubic", scale=4)
    np.testing.assert_array_equal(result.values, plain.values[good])


def test_work_of_another_scale_is_not_resumed(files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """Baselines have no weights to tell them apart: how they were built does."""
    one, other = (Model(create_model("bicubic", scale=s, hs_bands=4)) for s in (2, 3))
    assert one.fingerprint() != other.fingerprint()


def test_a_data_set_is_learned_from_by_its_name(
    files: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its training scenes alone: the same as from a file that holds their pixels."""
    from finewave.datasets.catalogue.cave import wavelengths
    from finewave.datasets.registry import known_split
    from finewave.datasets.store import write_store

    monkeypatch.setenv("FINEWAVE_PREPARED", str(tmp_path / "prepared"))
    monkeypatch.setenv("FINEWAVE_DATA", str(tmp_path / "none"))
    (tmp_path / "prepared").mkdir()
    split, generator = known_split("cave"), np.random.default_rng(2)
    scenes = {name: generator.integers(0, 65536, (31, 3, 3), np.uint16) for name in split["train"]}
    unseen = {name: np.zeros((31, 3, 3), np.uint16) for name in split["val"]}
    attributes = {"dataset": "cave", "full_scale": 65535, "split": {key: list(names) for key, names in split.items()}}
    write_store(tmp_path / "prepared" / "cave.zarr", {**scenes, **unseen}.items(), wavelengths(), attributes)
    values = np.concatenate([scenes[name] for name in split["train"]], axis=1) / np.float32(65535)
    save_scene(make_scene(values.astype(np.float32), wavelengths()), tmp_path / "all.nc")
    for name in ("ridge", "knn"):
        for spectra, output in (("cave", "one.nc"), (tmp_path / "all.nc", "other.nc")):
            predict_file(files[1], tmp_path / output, name, sensor=SENSOR, spectra=spectra)
        cave, file = (load_scene(tmp_path / f"{stem}.nc").values for stem in ("one", "other"))
        assert cave.shape == (31, 24, 36)
        np.testing.assert_allclose(cave, file, atol=1e-4)
