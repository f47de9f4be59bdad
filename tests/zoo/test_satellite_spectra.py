"""Spectra from satellites' bands: products and named files through the shipped weights, and what an index is worth."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import finewave as fw
from finewave.datasets.registry import get_dataset, open_scenes
from finewave.inference.predict import predict_file
from finewave.physics.sensors import apply_response
from finewave.scene import make_scene
from finewave.warnings import FinewaveWarning

BANDS = ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")
FOREST = (0.025, 0.047, 0.028, 0.077, 0.217, 0.270, 0.290, 0.300, 0.140, 0.062)


def scene_of(reflectance: tuple[float, ...] = FOREST, order: tuple[int, ...] | None = None, **attrs: str) -> object:
    """A scene of ten named bands of one spectrum; in another order, if one is given."""
    places = list(range(len(BANDS)) if order is None else order)
    values = np.broadcast_to(np.array(reflectance, np.float32)[places, None, None], (len(places), 17, 19))
    centres = fw.get_sensor("sentinel2a", BANDS).centres[places]
    return make_scene(values.copy(), centres, band_names=[BANDS[i] for i in places], attrs=attrs)


def test_a_tiff_with_named_bands_gives_vegetation(tmp_path: Path) -> None:
    fw.save_scene(scene_of(), tmp_path / "s2.tif")
    fw.save_scene(scene_of(order=(9, 0, 8, 1, 7, 2, 6, 3, 5, 4)), tmp_path / "shuffled.tif")
    with warnings.catch_warnings():
        warnings.simplefilter("error", FinewaveWarning)
        result = fw.super_resolve(fw.open_scene(tmp_path / "s2.tif"), "sentinel2-enmap")
        again = fw.super_resolve(fw.open_scene(tmp_path / "shuffled.tif"), "sentinel2-enmap")
    np.testing.assert_allclose(again.values, result.values, atol=1e-6)
    nm, spectrum = result.wavelength.values, result.values[:, 8, 9]
    at = {each: spectrum[np.abs(nm - each).argmin()] for each in (480, 555, 670, 860, 1650, 2200)}
    assert at[670] < at[555] < at[2200] < at[1650] < at[860]  # green peak, chlorophyll, plateau, water of leaves
    assert at[860] == pytest.approx(0.30, abs=0.03)
    vapour = ((nm >= 1340) & (nm <= 1500)) | ((nm >= 1790) & (nm <= 1990))
    np.testing.assert_array_equal(result.good_band.values, ~vapour)


def test_another_level_clouds_and_too_few_bands_are_said() -> None:
    with pytest.warns(FinewaveWarning, match="trained on surface reflectance"):
        fw.super_resolve(scene_of(quantity="top-of-atmosphere reflectance"), "sentinel2-enmap")
    with pytest.warns(FinewaveWarning, match=r"323 of 323 pixels \(100.0%\) are unlike"):
        fw.super_resolve(scene_of((0.9,) * 10), "sentinel2-enmap")
    with pytest.raises(fw.InputError, match=r"4 bands.*expects 10"):
        fw.super_resolve(scene_of(order=(0, 1, 2, 6)), "sentinel2-enmap")


@pytest.mark.data
def test_an_index_that_the_satellite_does_not_have(real_images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """NDWI of 860 and 1240 nm (Gao 1996) on the validation tiles, beside that of the true spectra."""
    names = get_dataset("enmap").split["val"]
    source = open_scenes("enmap", names)
    nm = source.wavelengths
    response = fw.get_sensor("sentinel2a", BANDS).response(nm)
    true, made = [], []
    for name in names:
        truth = make_scene((source.read(name) / 1e4).astype(np.float32), nm)
        result = fw.super_resolve(apply_response(response, truth), "sentinel2-enmap")
        a, b = (int(np.abs(nm - each).argmin()) for each in (860, 1240))
        land = truth.values[a] > 0.1
        for values, found in ((truth.values[:, land], true), (result.values[:, land], made)):
            found.append((values[a] - values[b]) / (values[a] + values[b]))
    index, estimate = np.concatenate(true), np.concatenate(made)
    error, spread = float(np.sqrt(np.mean((estimate - index) ** 2))), float(index.std())
    with capsys.disabled():
        print(f"\nNDWI 860/1240 over {index.size} pixels: RMSE {error:.3f}, standard deviation {spread:.3f}")
    assert error < 0.3 * spread


def test_a_product_goes_through_and_one_that_lacks_bands_is_refused(tmp_path: Path) -> None:
    from tests.io.products.test_sentinel2 import product, safe_in, write_band

    product(tmp_path)
    safe = safe_in(tmp_path)
    with pytest.raises(fw.InputError, match=r"scene has 8 bands \(442, 492, .*expects 10 \(B2, B3"):
        predict_file(safe, tmp_path / "none.tif", "sentinel2-enmap")
    twenty = next(safe.glob("GRANULE/*/IMG_DATA/R20m"))
    for name in ("B06", "B07", "B11"):
        write_band(twenty / f"T31TFJ_20240501T103619_{name}_20m.jp2", 20)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FinewaveWarning)
        predict_file(safe, tmp_path / "out.tif", "sentinel2-enmap")
    said = " ".join(str(each.message) for each in caught if issubclass(each.category, FinewaveWarning))
    for expected in ("from the sensor 'sentinel2b'", "the others are left out", "are unlike all"):  # noise is no land
        assert expected in said
    source, result = fw.open_scene(safe), fw.open_scene(tmp_path / "out.tif")
    assert result.shape == (218, *source.shape[1:])
    assert result.rio.transform() == source.rio.transform()
    assert int((~result.good_band).sum()) == int(((result.wavelength > 1340) & (result.wavelength < 1500)).sum()) + int(
        ((result.wavelength > 1790) & (result.wavelength < 1990)).sum()
    )
