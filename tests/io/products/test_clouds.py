"""Clouds are blanked on request, by the layer of each product that says where they are, and only then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import finewave as fw
from finewave.errors import InputError
from finewave.scene import make_scene
from tests.io.products import test_landsat as landsat
from tests.io.products import test_multispectral as multispectral
from tests.io.products import test_sentinel2 as sentinel2
from tests.io.products import test_spectrometers as spectrometers

pytestmark = pytest.mark.filterwarnings("ignore::finewave.warnings.FinewaveWarning")


def assert_blanked(path: Path, cloudy: np.ndarray) -> None:
    """Pixels under ``cloudy`` are missing in all bands with the option, and nothing else changes."""
    plain, masked = fw.open_scene(path).values, fw.open_scene(path, mask_clouds=True)
    assert np.isfinite(plain[:, cloudy]).any()
    np.testing.assert_array_equal(masked.values, np.where(cloudy, np.nan, plain))
    part = masked[1:, 1:4, 2:5].values
    np.testing.assert_array_equal(part, np.where(cloudy, np.nan, plain)[1:, 1:4, 2:5])


def test_landsat_by_qa_pixel(tmp_path: Path) -> None:
    landsat.level_2(tmp_path)
    bits = np.full((8, 6), 1 << 6, np.uint16)  # clear
    for row, bit in enumerate((1, 2, 3, 4, 5, 7), start=1):  # dilated, cirrus, cloud, shadow; snow, water
        bits[row, 3] |= 1 << bit
    landsat.write(tmp_path / f"{landsat.LEVEL_2}_QA_PIXEL.TIF", bits)
    cloudy = np.zeros((8, 6), bool)
    cloudy[1:5, 3] = True
    assert_blanked(tmp_path, cloudy)
    (tmp_path / f"{landsat.LEVEL_2}_QA_PIXEL.TIF").unlink()
    with pytest.raises(InputError, match=r"has no QA_PIXEL.*leave out --mask-clouds"):
        fw.open_scene(tmp_path, mask_clouds=True)


def test_sentinel_2_by_its_scene_classification(tmp_path: Path) -> None:
    sentinel2.product(tmp_path)
    safe = sentinel2.safe_in(tmp_path)
    with pytest.raises(InputError, match=r"scene classification \(SCL\)"):
        fw.open_scene(safe, mask_clouds=True)
    folder = next(safe.rglob("R20m"))
    classes = np.full((12, 9), 4, np.uint16)
    for column, number in enumerate((3, 8, 9, 10, 5, 6, 7, 11)):
        classes[2, column] = number
    sentinel2.write_band(folder / "T31TFJ_20240501T103619_SCL_20m.jp2", 20, classes)
    cloudy = np.zeros((24, 18), bool)
    cloudy[4:6, 0:8] = True  # four pixels of 20 m on those of 10 m
    assert_blanked(safe, cloudy)


def test_planetscope_by_udm2(tmp_path: Path) -> None:
    maker = multispectral.TestPlanetScope()
    numbers = np.random.default_rng(1).integers(1, 9000, (4, 6, 5)).astype(np.uint16)
    multispectral.write(tmp_path / f"{maker.SCENE}_AnalyticMS_SR_clip.tif", numbers)
    with pytest.raises(InputError, match="usable data mask"):
        fw.open_scene(tmp_path, mask_clouds=True)
    mask = np.zeros((8, 6, 5), np.uint8)
    mask[0] = 1
    for column, band in enumerate((3, 5, 6, 4, 2)):  # shadow, heavy haze, cloud; light haze, snow
        mask[band - 1, 3, column] = 1
    multispectral.write(tmp_path / f"{maker.SCENE}_udm2_clip.tif", mask)
    cloudy = np.zeros((6, 5), bool)
    cloudy[3, :3] = True
    assert_blanked(tmp_path, cloudy)


def test_enmap_by_its_quality_layers(tmp_path: Path) -> None:
    maker = spectrometers.TestEnmap
    numbers = np.random.default_rng(1).integers(1, 9000, (3, 6, 5)).astype(np.int16)
    multispectral.write(tmp_path / f"{maker.STEM}-SPECTRAL_IMAGE.TIF", numbers, nodata=-32768)
    (tmp_path / f"{maker.STEM}-METADATA.XML").write_text(maker.xml([(420, 7), (430, 7), (440, 7)]))
    with pytest.raises(InputError, match="QL_QUALITY_CLOUD"):
        fw.open_scene(tmp_path, mask_clouds=True)
    cloudy = np.zeros((6, 5), bool)
    for column, (name, number) in enumerate((("CLOUD", 1), ("CLOUDSHADOW", 1), ("CIRRUS", 3), ("HAZE", 1))):
        layer = np.zeros((1, 6, 5), np.uint8)
        layer[0, 2, column] = number
        cloudy[2, column] = name != "HAZE"
        multispectral.write(tmp_path / f"{maker.STEM}-QL_QUALITY_{name}.TIF", layer)
    assert_blanked(tmp_path, cloudy)


def test_what_has_no_mask_says_so(tmp_path: Path) -> None:
    fw.save_scene(make_scene(np.ones((2, 4, 4), np.float32)), tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"--mask-clouds\) has no meaning for .*a\.tif"):
        fw.open_scene(tmp_path / "a.tif", mask_clouds=True)
