"""A small sound product of every mission, and files of the kinds that one library or another reads beside them.

What tests make to read it rightly is made here to be changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import rasterio

from tests.io.products import test_landsat as landsat
from tests.io.products import test_multispectral as multispectral
from tests.io.products import test_sentinel2 as sentinel2
from tests.io.products import test_spectrometers as spectrometers
from tests.io.products import test_stac as stac

_VALUES = np.random.default_rng(17).integers(1000, 9000, (3, 24, 20)).astype(np.uint16)
_PLACE = {"crs": "EPSG:32632", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)}


def written(folder: Path) -> Iterator[tuple[str, Path]]:
    """Write them, each in a folder of its own, and yield name and path."""
    for name, make in {**PRODUCTS, **_FILES}.items():
        place = folder / name / "scene"
        place.mkdir(parents=True)
        opened = make(place)
        for each in place.glob("round.*"):  # of a round trip that the test has made
            each.unlink()
        if opened != place:  # a file is changed with what lies beside it
            for each in list(place.iterdir()):
                each.rename(folder / name / each.name)
            place.rmdir()
            opened = folder / name / opened.name
        yield name, opened


def _landsat(kind: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        landsat.level_2(folder, kind)
        return folder

    return make


def _sentinel2(folder: Path) -> Path:
    sentinel2.product(folder)
    return sentinel2.safe_in(folder)


def _enmap(folder: Path) -> Path:
    maker = spectrometers.TestEnmap
    _tiff(folder / f"{maker.STEM}-SPECTRAL_IMAGE.TIF", _VALUES.astype(np.int16), nodata=-32768)
    (folder / f"{maker.STEM}-METADATA.XML").write_text(maker.xml([(420, 7), (430, 7), (440, 7)], missing=2))
    return folder


def _prisma(folder: Path) -> Path:
    corners = {
        "Epsg_Code": 32632,
        "Product_ULcorner_easting": 5e5,
        "Product_ULcorner_northing": 44e5,
        "Product_LRcorner_easting": 5e5 + 180,
        "Product_LRcorner_northing": 44e5 - 150,
    }
    path = folder / "PRS_L2D_STD.he5"
    spectrometers.TestPrisma().make(path, **spectrometers.SCALE, **corners)
    return path


def _by_test(test: Callable[[Path], None], pattern: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        test(folder)
        return next(iter(sorted(folder.glob(pattern)))) if pattern else folder

    return make


def _tanager(folder: Path) -> Path:
    path = folder / "20250101_101112_00_4001_ortho_sr.h5"
    spectrometers.TestTanager().make(path, "GRIDS")
    return path


def _planetscope(folder: Path) -> Path:
    maker = multispectral.TestPlanetScope()
    numbers = np.concatenate([_VALUES, _VALUES[:1]])
    multispectral.write(folder / f"{maker.SCENE}_AnalyticMS.tif", numbers)
    multispectral.write(folder / f"{maker.SCENE}_udm2.tif", np.zeros((8, 24, 20), np.uint8))
    maker.metadata(folder, [2e-5, 2.1e-5, 2.3e-5, 3.5e-5])
    return folder


def _worldview(folder: Path) -> Path:
    multispectral.TestWorldView().make(folder, ["B", "G", "R", "N"], "WV02")
    return folder / "21MAR18-M2AS-1.TIF"


def _eopf(folder: Path) -> Path:
    multispectral.TestEopf().make(folder / "a.zarr")
    return folder / "a.zarr"


def _specim(folder: Path) -> Path:
    multispectral.TestReferencePanels().make(folder, ("leaf", "WHITEREF_leaf", "DARKREF_leaf"))
    return folder / "leaf.hdr"


def _stac(folder: Path) -> Path:
    for number, key in enumerate(stac.BANDS):
        stac.band_file(folder / f"{key}.tif", 2000 + 1000 * number)
    return stac.write(folder, stac.item_of({key: stac.asset(key) for key in stac.BANDS}))


def _tiff(path: Path, numbers: np.ndarray, **profile: object) -> None:
    bands, height, width = numbers.shape
    how = {"count": bands, "height": height, "width": width, "dtype": numbers.dtype.name, **_PLACE, **profile}
    with rasterio.open(path, "w", **{"driver": "GTiff", **how}) as file:
        file.write(numbers)


def _by_gdal(name: str, driver: str, **profile: object) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        numbers = _VALUES.astype(np.uint8) if driver == "BMP" else _VALUES
        _tiff(folder / name, numbers, driver=driver, **profile)
        return folder / name

    return make


def _vrt(folder: Path) -> Path:
    _tiff(folder / "a.tif", _VALUES)
    bands = "".join(
        f"<VRTRasterBand dataType='UInt16' band='{i}'><Description>{500 + 50 * i} nm</Description><SimpleSource>"
        f"<SourceFilename relativeToVRT='1'>a.tif</SourceFilename><SourceBand>{i}</SourceBand></SimpleSource>"
        "</VRTRasterBand>"
        for i in (1, 2, 3)
    )
    (folder / "a.vrt").write_text(f"<VRTDataset rasterXSize='20' rasterYSize='24'>{bands}</VRTDataset>")
    return folder / "a.vrt"


def _npy(folder: Path) -> Path:
    np.save(folder / "a.npy", _VALUES.astype(np.float32))
    return folder / "a.npy"


def _npz(folder: Path) -> Path:
    np.savez_compressed(folder / "a.npz", cube=_VALUES.astype(np.float32), wavelengths=[500.0, 550, 600])
    return folder / "a.npz"


def _pages(folder: Path) -> Path:
    import tifffile

    tifffile.imwrite(folder / "a.tif", _VALUES, photometric="minisblack")
    return folder / "a.tif"


def _bare_zarr(version: int) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        import zarr

        group = zarr.create_group(folder / "a.zarr", zarr_format=version)
        group.create_array("cube", data=_VALUES.astype(np.float32), chunks=(1, 12, 10))
        group.create_array("wavelengths", data=np.array([500.0, 550, 600]))
        group["cube"].attrs["units"] = "1"
        return folder / "a.zarr"

    return make


def _photo(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        from PIL import Image

        if name.endswith(".heic"):
            import pillow_heif

            pillow_heif.register_heif_opener()
        Image.fromarray((_VALUES // 36).astype(np.uint8).transpose(1, 2, 0)).save(folder / name)
        return folder / name

    return make


def _dng(folder: Path) -> Path:
    """A raw file of the smallest kind: one plane behind a colour filter."""
    import tifffile

    extra = [
        (50706, 1, 4, bytes((1, 4, 0, 0)), True),
        (50708, 2, 0, "finewave test", True),
        (33421, 3, 2, (2, 2), True),
        (33422, 1, 4, bytes((0, 1, 1, 2)), True),
        (50717, 4, 1, 65535, True),
        (50721, 10, 9, (1, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1), True),
    ]
    tifffile.imwrite(folder / "a.dng", np.tile(_VALUES[0], (4, 4)), photometric=32803, extratags=extra)
    return folder / "a.dng"


PRODUCTS: dict[str, Callable[[Path], Path]] = {
    "Landsat MTL.txt": _landsat("txt"),
    "Landsat MTL.json": _landsat("json"),
    "Landsat MTL.xml": _landsat("xml"),
    "Sentinel-2 SAFE": _sentinel2,
    "Sentinel-2 EOPF": _eopf,
    "EnMAP": _enmap,
    "DESIS": _by_test(spectrometers.test_desis, ""),
    "PRISMA": _prisma,
    "EMIT": _by_test(spectrometers.test_emit_swath, "EMIT*.nc"),
    "AVIRIS-3": _by_test(spectrometers.test_aviris_3_grid, "AV3*.nc"),
    "PACE": _by_test(spectrometers.test_pace_swath, "PACE*.nc"),
    "NEON": _by_test(lambda folder: spectrometers.TestNeon().test_windows_of_bad_bands(folder), "NEON*.h5"),
    "Tanager": _tanager,
    "PlanetScope": _planetscope,
    "WorldView": _worldview,
    "WorldView tiles": _by_test(lambda folder: multispectral.TestWorldView().test_tiles(folder), "*.TIL"),
    "Specim": _specim,
    "STAC item": _stac,
}
_FILES: dict[str, Callable[[Path], Path]] = {
    "JPEG 2000": _by_gdal("a.jp2", "JP2OpenJPEG", QUALITY=100, REVERSIBLE="YES"),
    "NITF": _by_gdal("a.ntf", "NITF", crs=None, transform=None),
    "PCIDSK": _by_gdal("a.pix", "PCIDSK"),
    "BMP": _by_gdal("a.bmp", "BMP"),
    "VRT": _vrt,
    "npy": _npy,
    "npz": _npz,
    "TIFF pages": _pages,
    "Zarr 2 arrays": _bare_zarr(2),
    "Zarr 3 arrays": _bare_zarr(3),
    "WebP": _photo("a.webp"),
    "AVIF": _photo("a.avif"),
    "HEIC": _photo("a.heic"),
    "DNG": _dng,
}
NAMES = frozenset(PRODUCTS) | frozenset(_FILES)
