"""Products as users have them: older names, lower case, missing optional files, several in a folder, other sensors."""

from __future__ import annotations

from pathlib import Path

import h5netcdf
import numpy as np
import pytest

from finewave.errors import InputError
from finewave.io.open_save import open_scene
from finewave.scene import scene_crs, scene_transform
from finewave.warnings import FinewaveWarning
from tests.fuzz import product_bases
from tests.io.products import test_landsat as landsat
from tests.io.products import test_multispectral as multispectral
from tests.io.products import test_sentinel2 as sentinel2

ignore_warnings = pytest.mark.filterwarnings("ignore::finewave.warnings.FinewaveWarning")
LOWER = ("Landsat MTL.txt", "Sentinel-2 SAFE", "EnMAP", "DESIS", "EMIT", "AVIRIS-3", "PACE", "PlanetScope", "WorldView")


@ignore_warnings
@pytest.mark.parametrize("name", LOWER)
def test_names_in_lower_case(name: str, tmp_path: Path) -> None:
    """As some servers and portals give them; nothing depends on the case."""
    path = product_bases.PRODUCTS[name](tmp_path)
    expected = open_scene(path).load()
    expected.close()
    for each in sorted(tmp_path.rglob("*"), key=lambda each: -len(each.parts)):
        each.rename(each.with_name(each.name.lower()))
    path = tmp_path / path.relative_to(tmp_path).as_posix().lower() if path != tmp_path else path
    scene = open_scene(path)
    np.testing.assert_array_equal(scene.values, expected.values)
    assert scene.wavelength.values.tolist() == expected.wavelength.values.tolist()
    for key in ("sensor", "quantity", "datetime"):
        assert scene.attrs.get(key) == expected.attrs.get(key), key


def level_1c(root: Path, stem: str, metadata: str) -> dict[str, np.ndarray]:
    """Write a level 1C product without offsets, as all before January 2022 are; names without resolution."""
    images = root / "GRANULE" / "tile" / "IMG_DATA"
    sizes = {"B01": 60, "B02": 10, "B03": 10, "B8A": 20, "B10": 60, "TCI": 10}
    written = {name: sentinel2.write_band(images / f"{stem}_{name}.jp2", size) for name, size in sizes.items()}
    (root / metadata).write_text(
        "<a><PRODUCT_START_TIME>2019-06-15T10:10:31.024Z</PRODUCT_START_TIME>"
        "<SPACECRAFT_NAME>Sentinel-2A</SPACECRAFT_NAME><QUANTIFICATION_VALUE>10000</QUANTIFICATION_VALUE></a>"
    )
    return written


@pytest.mark.parametrize(
    ("folder", "stem", "metadata"),
    [
        ("S2A_MSIL1C_20190615T101031_N0207_R022_T32TQM_1.SAFE", "T32TQM_20190615T101031", "MTD_MSIL1C.xml"),
        ("S2A_OPER_PRD_MSIL1C_PDMC_20151230T202002.SAFE",
         "S2A_OPER_MSI_L1C_TL_EPA__20160605T113933_A000734_T31TFJ",
         "S2A_OPER_MTD_SAFL1C_PDMC_20151230T202002_R008_V20151230T105153.xml"),
    ],
    ids=["2016 to 2022", "before December 2016"],
)  # fmt: skip
def test_older_sentinel_2(folder: str, stem: str, metadata: str, tmp_path: Path) -> None:
    written = level_1c(tmp_path / folder, stem, metadata)
    for path in (tmp_path / folder, next(tmp_path.rglob("IMG_DATA"))):
        scene = open_scene(path)
        assert scene.band_name.values.tolist() == ["B1", "B2", "B3", "B8A", "B10"]
        np.testing.assert_allclose(scene.values[1], written["B02"] / 1e4, atol=1e-6)
        assert scene.attrs["quantity"] == "top-of-atmosphere reflectance"
        assert scene.attrs["datetime"] == "2019-06-15T10:10:31.024Z"
        assert scene.wavelength.values[0] == 442.7


@pytest.mark.parametrize(("satellite", "first"), [(1, 4), (3, 4), (5, 1)])
def test_multispectral_scanner(satellite: int, first: int, tmp_path: Path) -> None:
    """Its bands were read as a folder of any bands, with a scale that was guessed."""
    stem = f"LM0{satellite}_L1TP_193029_19850615_20200912_02_T2"
    bands = list(range(first, first + 4))
    for band in bands:
        landsat.write(tmp_path / f"{stem}_B{band}.TIF", landsat.numbers_of(band))
    landsat.write_metadata(tmp_path / stem, landsat.groups(False, bands, 30.0))
    scene = open_scene(tmp_path)
    assert scene.attrs["sensor"] == f"landsat{satellite}-mss"
    assert scene.band_name.values.tolist() == [f"B{band}" for band in bands]
    assert scene.wavelength.values.tolist() == [550, 650, 750, 950]
    assert scene.fwhm.values.tolist() == [100, 100, 100, 300]
    expected = (landsat.numbers_of(first)[1:] * 2e-5 - 0.1) / 0.5
    np.testing.assert_allclose(scene.values[0, 1:], expected, atol=1e-6)


def test_two_planetscope_images_in_a_folder(tmp_path: Path) -> None:
    for second in (12, 14):
        name = f"20230701_0930{second}_1_2475_3B_AnalyticMS_SR_8b_harmonized_clip.tif"
        multispectral.write(tmp_path / name, np.full((8, 6, 5), 2000, np.uint16))
    with pytest.raises(InputError, match=r"holds 2 PlanetScope images; open one of them: 20230701_093012"):
        open_scene(tmp_path)
    assert open_scene(tmp_path / name).attrs["datetime"] == "2023-07-01T09:30:14Z"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("absCalFactor", "other", "band B lacks absCalFactor"),
        ("1.0e-02", "much", "absCalFactor is 'much', where a number is expected"),
        ("5.0e-02", "0", "not positive"),
    ],
)
def test_damaged_metadata_of_worldview(old: str, new: str, message: str, tmp_path: Path) -> None:
    multispectral.TestWorldView().make(tmp_path, ["B", "G", "R", "N"], "WV02")
    metadata = next(tmp_path.glob("*.IMD"))
    metadata.write_text(metadata.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        open_scene(tmp_path)


def test_a_scan_without_its_dark_reference(tmp_path: Path) -> None:
    """Its raw numbers were taken as reflectance x 10000."""
    multispectral.TestReferencePanels().make(tmp_path, ("leaf", "WHITEREF_leaf", "DARKREF_leaf"))
    for each in tmp_path.glob("DARKREF*"):
        each.unlink()
    with pytest.warns(FinewaveWarning, match=r"lacks its dark reference \(DARKREF_leaf\.hdr\); taken as 0"):
        scene = open_scene(tmp_path / "leaf.hdr")
    numbers = np.fromfile(tmp_path / "leaf.raw", "<u2").reshape(6, 3, 5).transpose(1, 0, 2)
    white = np.fromfile(tmp_path / "WHITEREF_leaf.raw", "<u2").reshape(-1, 3, 5).mean(0)[:, None]
    np.testing.assert_allclose(scene.values, numbers / white / 2, rtol=1e-5)  # twice the exposure
    assert scene.attrs["quantity"] == "reflectance relative to the white reference"


def test_pace_on_a_map(tmp_path: Path) -> None:
    path = tmp_path / "PACE_OCI.20240601.L3m.DAY.RRS.V3_0.Rrs.0p1deg.nc"
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"lat": 4, "lon": 6, "wavelength": 3}
        for name, values, units in (("lat", 10.05 - 0.1 * np.arange(4), "degrees_north"),
                                    ("lon", 0.05 + 0.1 * np.arange(6), "degrees_east")):  # fmt: skip
            file.create_variable(name, (name,), "f4", data=values.astype("f4")).attrs["units"] = units
        file.create_variable("wavelength", ("wavelength",), "f8", data=np.array([400.0, 500, 600]))
        numbers = np.full((4, 6, 3), 100, "i2")
        numbers[0, 0] = -32767
        image = file.create_variable(
            "Rrs", ("lat", "lon", "wavelength"), "i2", data=numbers, fillvalue=np.int16(-32767)
        )
        image.attrs.update(scale_factor=np.float32(2e-6), add_offset=np.float32(0.05))
        file.attrs["time_coverage_start"] = "2024-06-01T00:00:00.000Z"
    scene = open_scene(path)
    np.testing.assert_allclose(scene.values[:, 1:], 0.0502, rtol=1e-5)
    assert np.isnan(scene.values[:, 0, 0]).all()
    assert scene.wavelength.values.tolist() == [400, 500, 600]
    np.testing.assert_allclose(tuple(scene_transform(scene))[:6], (0.1, 0, 0, 0, -0.1, 10.1), atol=1e-5)
    assert scene_crs(scene).to_epsg() == 4326
    assert scene.attrs["datetime"] == "2024-06-01T00:00:00Z"
