"""Landsat products in their real layout, made here."""

from __future__ import annotations

import json
import math
import tarfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from finewave.errors import InputError
from finewave.io.open_save import open_scene
from finewave.io.products import product_of
from finewave.scene import scene_transform
from finewave.warnings import FinewaveWarning

LEVEL_2 = "LC09_L2SP_193029_20220615_20220622_02_T1"
LEVEL_1 = "LC08_L1TP_193029_20210615_20210622_02_T1"
ETM = "LE07_L1TP_193029_20010615_20200622_02_T1"


def write(path: Path, numbers: np.ndarray, resolution: float = 30, corner: float = 0) -> None:
    place = {"crs": "EPSG:32632", "transform": from_origin(5e5 + corner, 5e6 - corner, resolution, resolution)}
    with rasterio.open(
        path, "w", "GTiff", *numbers.shape[::-1], 1, dtype=numbers.dtype.name, nodata=0, **place
    ) as file:
        file.write(numbers[None])


def numbers_of(seed: int, shape: tuple[int, int] = (8, 6)) -> np.ndarray:
    values = np.random.default_rng(seed).integers(7300, 40000, shape, dtype=np.uint16)
    values[0] = 0
    return values


def groups(level_2: bool, bands: list[int], sun: float = 60.0) -> dict[str, dict[str, float]]:
    """Groups of a metadata file: level 1's keys come first in those of level 2, as they do in real ones."""
    first = {f"REFLECTANCE_{k}_BAND_{i}": v for i in bands for k, v in (("MULT", 2.0e-05), ("ADD", -0.1))}
    second = {f"REFLECTANCE_{k}_BAND_{i}": v for i in bands for k, v in (("MULT", 2.75e-05), ("ADD", -0.2))}
    known = {"IMAGE_ATTRIBUTES": {"SUN_ELEVATION": sun}, "LEVEL1_RADIOMETRIC_RESCALING": first}
    return known | ({"LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": second} if level_2 else {})


def write_metadata(stem: Path, content: dict[str, dict[str, float]], kind: str = "txt") -> None:
    path = stem.with_name(f"{stem.name}_MTL.{kind}")
    if kind == "json":
        path.write_text(
            json.dumps({"LANDSAT_METADATA_FILE": {k: {a: str(b) for a, b in v.items()} for k, v in content.items()}})
        )
    elif kind == "xml":
        inside = "".join(f"<{k}>{''.join(f'<{a}>{b}</{a}>' for a, b in v.items())}</{k}>" for k, v in content.items())
        path.write_text(f"<LANDSAT_METADATA_FILE>{inside}</LANDSAT_METADATA_FILE>")
    else:
        lines = [
            line
            for name, group in content.items()
            for line in (f"  GROUP = {name}", *(f"    {a} = {b}" for a, b in group.items()), f"  END_GROUP = {name}")
        ]
        path.write_text(
            "\n".join(["GROUP = LANDSAT_METADATA_FILE", *lines, "END_GROUP = LANDSAT_METADATA_FILE", "END"])
        )


def level_2(folder: Path, kind: str | None = "txt") -> np.ndarray:
    written = np.stack([numbers_of(i) for i in range(1, 8)])
    for i, numbers in enumerate(written, start=1):
        write(folder / f"{LEVEL_2}_SR_B{i}.TIF", numbers)
    write(folder / f"{LEVEL_2}_ST_B10.TIF", numbers_of(10))
    write(folder / f"{LEVEL_2}_SR_QA_AEROSOL.TIF", np.full((8, 6), 96, np.uint8))
    write(folder / f"{LEVEL_2}_QA_PIXEL.TIF", np.full((8, 6), 21824, np.uint16))
    if kind is not None:
        write_metadata(folder / LEVEL_2, groups(True, list(range(1, 8))), kind)
    return written


@pytest.mark.filterwarnings("ignore::finewave.warnings.FinewaveWarning")
@pytest.mark.parametrize("kind", ["txt", "json", "xml"])
def test_level_2(tmp_path: Path, kind: str) -> None:
    written = level_2(tmp_path, kind)
    scene = open_scene(tmp_path)
    assert scene.band_name.values.tolist() == ["B1", "B2", "B3", "B4", "B5", "B6", "B7"]
    assert scene.wavelength.values[[1, 2, 3]].tolist() == [482, 561.5, 654.5]
    assert scene.fwhm.values[[1, 4]].tolist() == [60, 28]
    assert scene.attrs.pop("datetime") == "2022-06-15"  # of the name
    assert scene.attrs == {"sensor": "landsat9", "product": LEVEL_2, "quantity": "surface reflectance"}
    expected = written * 2.75e-5 - 0.2
    np.testing.assert_allclose(scene.values[:, 1:], expected[:, 1:], atol=1e-6)
    assert np.isnan(scene.values[:, 0]).all()
    assert tuple(scene_transform(scene))[:6] == (30, 0, 5e5, 0, -30, 5e6)


def test_thermal_bands_are_named(tmp_path: Path) -> None:
    level_2(tmp_path)
    with pytest.warns(FinewaveWarning, match="left out ST_B10, which are thermal"):
        open_scene(tmp_path)


def test_one_band_has_the_metadata_beside_it(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    written = level_2(tmp_path)
    scene = open_scene(tmp_path / f"{LEVEL_2}_SR_B6.TIF")
    np.testing.assert_allclose(scene.values[0, 1:], written[5, 1:] * 2.75e-5 - 0.2, atol=1e-6)
    assert scene.wavelength.values.tolist() == [1608.5]
    assert not [each for each in recwarn if each.category is FinewaveWarning]
    for name in ("QA_PIXEL", "ST_B10"):
        assert product_of(tmp_path / f"{LEVEL_2}_{name}.TIF") is None


@pytest.mark.filterwarnings("ignore::finewave.warnings.FinewaveWarning")
def test_tar_file_and_metadata_file_open_the_product(tmp_path: Path) -> None:
    level_2(tmp_path)
    with tarfile.open(tmp_path / f"{LEVEL_2}.tar", "w") as archive:
        for file in sorted(tmp_path.glob(f"{LEVEL_2}_*")):
            archive.add(file, file.name)
    expected = open_scene(tmp_path)
    for other in (tmp_path / f"{LEVEL_2}.tar", tmp_path / f"{LEVEL_2}_MTL.txt"):
        scene = open_scene(other)
        np.testing.assert_array_equal(scene.values, expected.values)
        assert scene.attrs == expected.attrs


def test_saturated_pixels_are_missing_in_their_band(tmp_path: Path) -> None:
    level_2(tmp_path)
    flags = np.zeros((8, 6), np.uint16)
    flags[3, 2] = 0b0010100  # bands 3 and 5
    flags[4, 4] = 1 << 11  # terrain occlusion says nothing of the detector
    write(tmp_path / f"{LEVEL_2}_QA_RADSAT.TIF", flags)
    with pytest.warns(FinewaveWarning, match="thermal"):
        scene = open_scene(tmp_path)
    assert np.isnan(scene.values[:, 3, 2]).tolist() == [False, False, True, False, True, False, False]
    assert np.isfinite(scene.values[:, 4, 4]).all()
    assert np.isnan(scene[2, 2:5, 1:4].values).sum() == 1


def test_level_2_without_metadata(tmp_path: Path) -> None:
    written = level_2(tmp_path, None)
    with pytest.warns(
        FinewaveWarning, match="lacks its MTL file; took the scale and offset of all surface reflectances"
    ):
        scene = open_scene(tmp_path)
    np.testing.assert_allclose(scene.values[:, 1:], written[:, 1:] * 2.75e-5 - 0.2, atol=1e-6)


def test_level_1_is_divided_by_the_sine_of_the_sun(tmp_path: Path) -> None:
    for i in (*range(1, 8), 9):
        write(tmp_path / f"{LEVEL_1}_B{i}.TIF", numbers_of(i))
    pan = numbers_of(8, (15, 11))
    write(tmp_path / f"{LEVEL_1}_B8.TIF", pan, 15, 7.5)  # pixel centres, not corners, are aligned
    for i in (10, 11):
        write(tmp_path / f"{LEVEL_1}_B{i}.TIF", numbers_of(i))
    write_metadata(tmp_path / LEVEL_1, groups(False, list(range(1, 10)), 40.0))
    with pytest.warns(FinewaveWarning, match="left out B10, B11, which are thermal"):
        scene = open_scene(tmp_path)
    assert scene.band_name.values.tolist() == ["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9"]
    assert scene.attrs["quantity"] == "top-of-atmosphere reflectance"
    expected = (numbers_of(5) * 2e-5 - 0.1) / math.sin(math.radians(40))
    np.testing.assert_allclose(scene.values[4, 1:], expected[1:], atol=1e-6)
    assert scene.shape == (9, 8, 6)
    sharp = open_scene(tmp_path / f"{LEVEL_1}_B8.TIF")
    np.testing.assert_allclose(sharp.values[0, 1:], (pan[1:] * 2e-5 - 0.1) / math.sin(math.radians(40)), atol=1e-6)
    with pytest.warns(FinewaveWarning, match="thermal"):
        assert open_scene(tmp_path, resolution=15).shape == (9, 15, 11)


def test_enhanced_thematic_mapper(tmp_path: Path) -> None:
    for i in (1, 2, 3, 4, 5, 7):
        write(tmp_path / f"{ETM}_B{i}.TIF", np.full((4, 4), 100 + i, np.uint8))
    for i in (1, 2):
        write(tmp_path / f"{ETM}_B6_VCID_{i}.TIF", np.full((4, 4), 90, np.uint8))
    write_metadata(tmp_path / ETM, groups(False, [1, 2, 3, 4, 5, 7], 90.0))
    with pytest.warns(FinewaveWarning, match="left out B6_VCID_1, B6_VCID_2"):
        scene = open_scene(tmp_path)
    assert scene.attrs["sensor"] == "landsat7"
    assert scene.band_name.values.tolist() == ["B1", "B2", "B3", "B4", "B5", "B7"]
    np.testing.assert_allclose(scene.values[:, 0, 0], np.array([101, 102, 103, 104, 105, 107]) * 2e-5 - 0.1, atol=1e-7)


@pytest.mark.filterwarnings("ignore::finewave.warnings.FinewaveWarning")
def test_products_that_cannot_be(tmp_path: Path) -> None:
    level_2(tmp_path)
    metadata = tmp_path / f"{LEVEL_2}_MTL.txt"
    whole = metadata.read_text()
    metadata.write_text(whole.replace("REFLECTANCE_MULT_BAND_3 = 2.75e-05", ""))
    with pytest.raises(InputError, match="REFLECTANCE_MULT_BAND_3 is missing or no number"):
        open_scene(tmp_path)
    metadata.write_text(whole.replace("2.75e-05", "nan"))
    with pytest.raises(InputError, match="rescaling that is not finite"):
        open_scene(tmp_path)
    metadata.write_text(whole)
    write(tmp_path / f"{LEVEL_2.replace('193029', '193030')}_SR_B1.TIF", numbers_of(1))
    with pytest.raises(InputError, match="holds the bands of 2 products"):
        open_scene(tmp_path)
    assert open_scene(tmp_path / f"{LEVEL_2}_SR_B1.TIF").sizes["band"] == 1
