"""Sentinel-2 products in their real layout, and folders of bands at several resolutions."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from finewave.errors import InputError
from finewave.io.open_save import open_scene
from finewave.scene import scene_crs, scene_transform
from finewave.warnings import FinewaveWarning

SIZES = {10: (24, 18), 20: (12, 9), 60: (4, 3)}
METADATA = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-2A_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-2A.xsd">
 <n1:General_Info><Product_Info><Datatake><SPACECRAFT_NAME>Sentinel-2B</SPACECRAFT_NAME></Datatake></Product_Info>
 <Product_Image_Characteristics>
  <QUANTIFICATION_VALUES_LIST><BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>
  </QUANTIFICATION_VALUES_LIST>
  <BOA_ADD_OFFSET_VALUES_LIST>{offsets}</BOA_ADD_OFFSET_VALUES_LIST>
 </Product_Image_Characteristics></n1:General_Info>
</n1:Level-2A_User_Product>
"""


def write_band(path: Path, resolution: int, values: np.ndarray | None = None, **profile: object) -> np.ndarray:
    """Write a lossless JPEG 2000 or GeoTIFF of one band at its place; return its numbers."""
    height, width = SIZES[resolution]
    if values is None:
        values = np.random.default_rng(len(path.name)).integers(1000, 9000, (height, width), dtype=np.uint16)
    is_jp2 = path.suffix == ".jp2"
    options = {"QUALITY": 100, "REVERSIBLE": "YES", "YCBCR420": "NO"} if is_jp2 else {}
    place = {"crs": "EPSG:32631", "transform": from_origin(6e5, 5e6, resolution, resolution)} | profile
    path.parent.mkdir(parents=True, exist_ok=True)
    driver = "JP2OpenJPEG" if is_jp2 else "GTiff"
    with rasterio.open(path, "w", driver, width, height, 1, dtype="uint16", **place, **options) as file:
        file.write(values[None])
    return values


def product(folder: Path, offset: int = -1000) -> dict[str, np.ndarray]:
    """Write a level 2A product; return the numbers of its bands by their names there."""
    root = folder / "S2B_MSIL2A_20240501T103619_N0510_R008_T31TFJ_20240501T140000.SAFE"
    images = root / "GRANULE" / "L2A_T31TFJ_A037000_20240501T104600" / "IMG_DATA"
    offsets = "".join(f'<BOA_ADD_OFFSET band_id="{i}">{offset}</BOA_ADD_OFFSET>' for i in range(13))
    root.mkdir()
    (root / "MTD_MSIL2A.xml").write_text(METADATA.format(offsets=offsets))
    written = {}
    for resolution, names in ((10, "B02 B03 B04 B08"), (20, "B02 B05 B8A B12"), (60, "B01 B02")):
        for name in names.split():
            path = images / f"R{resolution}m" / f"T31TFJ_20240501T103619_{name}_{resolution}m.jp2"
            values = write_band(path, resolution)
            written.setdefault(name, values)
    write_band(images / "R10m" / "T31TFJ_20240501T103619_WVP_10m.jp2", 10)
    return written


def safe_in(folder: Path) -> Path:
    return next(folder.glob("*.SAFE"))


def test_product_on_the_finest_grid(tmp_path: Path) -> None:
    written = product(tmp_path)
    scene = open_scene(safe_in(tmp_path))
    assert scene.band_name.values.tolist() == ["B1", "B2", "B3", "B4", "B5", "B8", "B8A", "B12"]
    assert scene.wavelength.values[[1, 2, 6]].tolist() == [492.1, 559.0, 864.0]  # of Sentinel-2B
    assert scene.attrs["sensor"] == "sentinel2b"
    assert scene.shape == (8, 24, 18)
    assert tuple(scene_transform(scene))[:6] == (10.0, 0.0, 6e5, 0.0, -10.0, 5e6)
    assert scene_crs(scene).to_epsg() == 32631
    assert scene.native_resolution.values.tolist() == [60, 10, 10, 10, 20, 10, 20, 20]
    expected = (written["B02"].astype(float) - 1000) / 10000
    np.testing.assert_allclose(scene.values[1], expected, atol=1e-6)
    # inside, an interpolated pixel is 9/16, 3/16, 3/16 and 1/16 of the four around it
    b5 = (written["B05"].astype(float) - 1000) / 10000
    mixed = (9 * b5[3, 4] + 3 * b5[3, 3] + 3 * b5[2, 4] + b5[2, 3]) / 16
    assert scene.values[4, 6, 8] == pytest.approx(mixed, abs=1e-4)


def test_grid_of_another_resolution(tmp_path: Path) -> None:
    written = product(tmp_path)
    scene = open_scene(safe_in(tmp_path), resolution=20)
    assert scene.shape == (8, 12, 9)
    np.testing.assert_allclose(scene.values[4], (written["B05"].astype(float) - 1000) / 10000, atol=1e-6)
    means = written["B03"].reshape(12, 2, 9, 2).mean((1, 3))
    np.testing.assert_allclose(scene.values[2], (means - 1000) / 10000, atol=1e-4)
    with pytest.raises(InputError, match=r"no band of .* has pixels of 15; there are pixels of 10, 20, 60"):
        open_scene(safe_in(tmp_path), resolution=15)


def test_nodata_does_not_leak_into_interpolated_pixels(tmp_path: Path) -> None:
    product(tmp_path)
    path = next(safe_in(tmp_path).rglob("*_B05_20m.jp2"))
    values = np.full(SIZES[20], 5000, np.uint16)
    values[4:, :] = 0
    write_band(path, 20, values)
    b5 = open_scene(safe_in(tmp_path)).sel(band=5).values
    assert np.isnan(b5[8:]).all()
    valid = b5[np.isfinite(b5)]
    np.testing.assert_allclose(valid, 0.4, atol=1e-4)
    assert valid.size == 8 * 18


def test_windows_are_those_of_the_whole(tmp_path: Path) -> None:
    product(tmp_path)
    scene, whole = open_scene(safe_in(tmp_path)), open_scene(safe_in(tmp_path)).values
    part = scene[2:7, 5:17, 3:12].values
    np.testing.assert_allclose(part, whole[2:7, 5:17, 3:12], atol=1e-6)


def test_inner_folder_and_single_band_have_the_metadata_up_the_tree(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    written = product(tmp_path)
    folder = next(safe_in(tmp_path).rglob("R10m"))
    scene = open_scene(folder)
    assert scene.band_name.values.tolist() == ["B2", "B3", "B4", "B8"]
    assert scene.wavelength.values.tolist() == [492.1, 559.0, 664.9, 832.9]
    assert scene.fwhm.values.tolist() == [66, 36, 31, 106]
    assert scene.attrs["sensor"] == "sentinel2b"
    assert scene.attrs["quantity"] == "surface reflectance"
    np.testing.assert_allclose(scene.values[0], (written["B02"].astype(float) - 1000) / 10000, atol=1e-6)
    one = open_scene(next(folder.glob("*_B08_10m.jp2")))
    np.testing.assert_allclose(one.values, scene.values[3:], atol=1e-7)
    np.testing.assert_allclose(open_scene(folder, full_scale=10000).values, scene.values, atol=1e-7)
    coarse = open_scene(folder.parent / "R20m")
    assert coarse.band_name.values.tolist() == ["B2", "B5", "B8A", "B12"]
    assert coarse.shape == (4, 12, 9)
    assert open_scene(next(tmp_path.rglob("MTD_MSIL2A.xml"))).shape == (8, 24, 18)
    assert not [each for each in recwarn if each.category is FinewaveWarning]


def test_renamed_product_is_known_by_its_metadata(tmp_path: Path) -> None:
    product(tmp_path)
    safe_in(tmp_path).rename(tmp_path / "july")
    assert open_scene(tmp_path / "july").sizes["band"] == 8
    assert open_scene(next((tmp_path / "july").rglob("R10m"))).wavelength.values[0] == 492.1


def test_zipped_product_equals_the_folder(tmp_path: Path) -> None:
    product(tmp_path)
    safe = safe_in(tmp_path)
    archive = Path(shutil.make_archive(str(tmp_path / safe.stem), "zip", tmp_path, safe.name))
    expected, zipped = open_scene(safe), open_scene(archive)
    np.testing.assert_array_equal(zipped.values, expected.values)
    assert zipped.attrs == expected.attrs
    assert zipped.wavelength.values.tolist() == expected.wavelength.values.tolist()
    np.testing.assert_array_equal(open_scene(archive, resolution=20).values, open_scene(safe, resolution=20).values)


def test_bands_without_their_product(tmp_path: Path) -> None:
    product(tmp_path)
    folder = next(safe_in(tmp_path).rglob("R10m")).rename(tmp_path / "bands")
    with pytest.warns(FinewaveWarning) as caught:
        scene = open_scene(folder)
    said = " ".join(str(each.message) for each in caught)
    assert "left out T31TFJ_20240501T103619_WVP_10m.jp2" in said
    assert "which say the offset (-1000 since January 2022)" in said
    assert "assumed that 10000 represents 1.0" in said
    assert scene.wavelength.values.tolist() == [492.4, 559.8, 664.6, 832.8]


def test_names_of_bands_alone_say_no_product(tmp_path: Path) -> None:
    for name in ("scene_B02.tif", "scene_B03.tif", "scene_B10.tif"):
        write_band(tmp_path / name, 10, nodata=0)
    scene = open_scene(tmp_path, full_scale=10000)
    assert "wavelength" not in scene.coords
    assert "sensor" not in scene.attrs
    assert scene.band_name.values.tolist() == ["scene_B02", "scene_B03", "scene_B10"]


@pytest.mark.parametrize("resolution", [None, 20])
def test_saturated_is_no_reflectance_on_any_grid(tmp_path: Path, resolution: float | None) -> None:
    product(tmp_path)
    for band, size in (("B05_20m", 20), ("B03_10m", 10)):
        numbers = np.full(SIZES[size], 5000, np.uint16)
        numbers[6, 4] = 65535
        write_band(next(safe_in(tmp_path).rglob(f"*_{band}.jp2")), size, numbers)
    scene = open_scene(safe_in(tmp_path), resolution=resolution)
    for index in (2, 4):
        values = scene.values[index]
        averaged = resolution == 20 and index == 2  # over the three pixels that are left
        assert np.isnan(values).any() == (not averaged)
        np.testing.assert_allclose(values[np.isfinite(values)], 0.4, atol=1e-4)


@pytest.mark.parametrize("level", ["1C", "2A"])
def test_spectra_and_special_values_of_the_metadata(tmp_path: Path, level: str) -> None:
    product(tmp_path)
    document = next(tmp_path.rglob("MTD_MSIL2A.xml"))
    text = document.read_text().replace("Sentinel-2B", "Sentinel-2D")
    if level == "1C":
        text = text.replace("BOA_QUANT", "QUANT").replace("BOA_ADD", "RADIO_ADD")
    spectrum = "<Wavelength><MIN>{}</MIN><MAX>{}</MAX><CENTRAL>{}</CENTRAL></Wavelength>"
    bands = {"B2": (457, 522, 489.5), "B12": (2100, 2280, 2190)}
    listed = "".join(
        f'<Spectral_Information physicalBand="{name}">{spectrum.format(*each)}</Spectral_Information>'
        for name, each in bands.items()
    )
    special = "<Special_Values><SPECIAL_VALUE_TEXT>{}</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>{}</SPECIAL_VALUE_INDEX>"
    special += "</Special_Values>"
    more = listed + special.format("NODATA", 7) + special.format("SATURATED", 4095)
    document.write_text(text.replace("</n1:General_Info>", f"{more}</n1:General_Info>"))
    document.rename(document.with_name(f"MTD_MSIL{level}.xml"))
    numbers = np.full(SIZES[10], 3000, np.uint16)
    numbers[0, :2] = 7, 4095
    write_band(next(tmp_path.rglob("*_B02_10m.jp2")), 10, numbers)
    with pytest.warns(FinewaveWarning, match="the spacecraft Sentinel-2D is not known"):
        scene = open_scene(safe_in(tmp_path))
    assert scene.wavelength.values[[1, -1]].tolist() == [489.5, 2190]
    assert scene.fwhm.values[[1, -1]].tolist() == [65, 180]
    assert np.isnan(scene.values[1, 0, :2]).all()
    assert scene.values[1, 1, 1] == pytest.approx(0.2)
    assert scene.attrs["quantity"].startswith("top" if level == "1C" else "surface")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('band_id="3"', 'band_id="x"', "band_id 'x'; 0 to 12"),
        ('band_id="3"', 'band_id="99"', "band_id '99'; 0 to 12"),
        (">-1000<", ">abc<", "'abc' is not a number"),
        (">10000<", ">0<", "quantification value is 0"),
        (">10000<", ">inf<", "'inf' is not a number"),
    ],
)
def test_metadata_that_cannot_be(tmp_path: Path, old: str, new: str, said: str) -> None:
    product(tmp_path)
    document = next(tmp_path.rglob("MTD_MSIL2A.xml"))
    document.write_text(document.read_text().replace(old, new))
    with pytest.raises(InputError, match=said):
        open_scene(safe_in(tmp_path))


def test_folder_at_several_resolutions(tmp_path: Path) -> None:
    fine = write_band(tmp_path / "band_560nm.tif", 10, nodata=0)
    write_band(tmp_path / "band_705nm.tif", 20, nodata=0)
    scene = open_scene(tmp_path, full_scale=10000)
    assert scene.shape == (2, 24, 18)
    assert scene.wavelength.values.tolist() == [560, 705]
    np.testing.assert_allclose(scene.values[0], fine / 10000, atol=1e-6)
    (tmp_path / "scene.nc").write_bytes(b"x")
    with pytest.raises(InputError, match=r"scene\.nc, a NetCDF has one"):
        open_scene(tmp_path / "scene.nc", resolution=10)


def test_products_that_are_not_whole(tmp_path: Path) -> None:
    (tmp_path / "empty.SAFE").mkdir()
    with pytest.raises(InputError, match=r"lacks MTD_MSIL1C\.xml or MTD_MSIL2A\.xml"):
        open_scene(tmp_path / "empty.SAFE")
    (tmp_path / "empty.SAFE" / "MTD_MSIL1C.xml").write_text("<a/>")
    with pytest.raises(InputError, match="no bands under GRANULE"):
        open_scene(tmp_path / "empty.SAFE")
    (tmp_path / "empty.SAFE" / "MTD_MSIL1C.xml").write_text("<a>")
    with pytest.raises(InputError, match="metadata of Sentinel-2"):
        open_scene(tmp_path / "empty.SAFE")
    product(tmp_path)
    safe = next(tmp_path.glob("S2B*.SAFE"))
    band = next(safe.rglob("*_B03_10m.jp2"))
    band.write_bytes(band.read_bytes()[:200])
    with pytest.raises(InputError, match=r"cannot read .*B03_10m\.jp2"):
        open_scene(safe).load()
    band.unlink()
    write_band(band, 10)
    other = safe / "GRANULE" / "L2A_T31TGJ" / "IMG_DATA"
    write_band(other / "T31TGJ_20240501T103619_B03_10m.jp2", 10)
    with pytest.raises(InputError, match="holds 2 tiles; open one at a time, by its folder: GRANULE/L2A_T31T"):
        open_scene(safe)
    assert open_scene(other).band_name.values.tolist() == ["B3"]
    assert open_scene(other.parent).band_name.values.tolist() == ["B3"]
