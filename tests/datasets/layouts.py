"""Small data sets in the very layouts in which their owners publish them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import imageio.v3 as iio
import numpy as np
import rasterio
import scipy.io

from finewave.datasets.base import Dataset, Region
from finewave.datasets.catalogue import aviris, chikusei, enmap, ntire2020, ssc_hsr, vnir100
from finewave.datasets.registry import get_dataset

Write = Callable[[Path, np.ndarray], None]


@dataclass(frozen=True)
class Layout:
    """One data set made small.

    Attributes
    ----------
    dataset : Dataset
        The description, with sizes, regions and split that fit small images.
    images : mapping of str to ndarray
        What the owner's files hold, by image.
    place : callable
        Takes the root and an image's name; returns its file or folder.
    write : callable
        Writes a cube there in the owner's layout.
    beside : callable
        Writes what else belongs to the layout: lists, second images.
    expected : callable
        Takes a published cube and its name; returns what is to be read.
    sized : bool
        Whether the size of an image is known beforehand.
    """

    dataset: Dataset
    images: dict[str, np.ndarray]
    place: Callable[[Path, str], Path]
    write: Write
    beside: Callable[[Path], None] = lambda root: None
    expected: Callable[[np.ndarray, str], np.ndarray] = lambda cube, name: cube
    sized: bool = True

    def publish(self, root: Path) -> Path:
        """Write all files; return the root."""
        for name, cube in self.images.items():
            self.put(root, name, cube)
        self.beside(root)
        return root

    def put(self, root: Path, name: str, cube: np.ndarray) -> None:
        """Write one image."""
        path = self.place(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.write(path, cube)

    @property
    def one(self) -> str:
        """An image that trains."""
        return self.dataset.image_of(self.dataset.scenes[0]) if self.dataset.split else next(iter(self.images))


def cubes(names: tuple[str, ...], bands: int, size: tuple[int, int], kind: str = "uint16") -> dict[str, np.ndarray]:
    """Random images (C, H, W) by name."""
    random = np.random.default_rng(7)
    whole = {name: random.integers(1, 4000, (bands, *size)) for name in names}
    return {
        name: (cube / 4000).astype(kind) if kind.startswith("f") else cube.astype(kind) for name, cube in whole.items()
    }


def write_matlab_5(path: Path, cube: np.ndarray, variable: str, **more: Any) -> None:
    scipy.io.savemat(path, {variable: cube.transpose(1, 2, 0), **more})


def write_matlab_73(path: Path, cube: np.ndarray, variable: str, **more: Any) -> None:
    """As MATLAB does: 512 bytes of its own, then HDF5 with all axes in reverse."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in {variable: cube.transpose(1, 2, 0), **more}.items():
            file[name] = np.asarray(array).T
            file[name].attrs["MATLAB_class"] = np.bytes_("double")


def write_compact(path: Path, cube: np.ndarray, wavelengths: np.ndarray | None = None) -> None:
    """As the files of the data folder: zigzag-coded differences along bands and columns."""
    values = cube.astype(np.int64)
    for axis in (2, 0):
        values = np.diff(values, axis=axis, prepend=0)
    zigzag = (values << 1) ^ (values >> 63)
    parts = {"lo": (zigzag & 255).astype(np.uint8), "hi": (zigzag >> 8).astype(np.uint16)}
    grid = np.empty(0) if wavelengths is None else wavelengths[: len(cube)]
    np.savez(path, **parts, axes=np.array([0, 2]), k=0, scale=1.0, wavelengths_nm=grid)


def write_bands(folder: Path, cube: np.ndarray) -> None:
    """As CAVE: one 16-bit PNG per band, in a folder inside a folder with the same name."""
    inner = folder / folder.name
    inner.mkdir(parents=True, exist_ok=True)
    for path in inner.iterdir():
        path.unlink()
    for i, band in enumerate(cube, 1):
        iio.imwrite(inner / f"{folder.name}_{i:02d}.png", band)


def write_exr(path: Path, cube: np.ndarray) -> None:
    import OpenEXR

    channels = {f"w{420 + 10 * i}nm": np.ascontiguousarray(band) for i, band in enumerate(cube)}
    channels |= {name: np.zeros_like(cube[0]) for name in "RGB"}
    OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}, channels).write(str(path))


def write_colosseum(folder: Path, cube: np.ndarray) -> None:
    from finewave.io.open_save import save_scene
    from finewave.scene import make_scene

    folder.mkdir(parents=True, exist_ok=True)
    save_scene(make_scene(cube), folder / "ms.tif")
    save_scene(make_scene(np.full((1, 4 * cube.shape[1], 4 * cube.shape[2]), 7, np.uint16)), folder / "pan.tif")


def strips(image: str, names: tuple[str, ...], size: tuple[int, int]) -> dict[str, Region]:
    """Regions one under the other."""
    step = size[0] // len(names)
    return {name: Region(image, (step * i, step * (i + 1)), (0, size[1])) for i, name in enumerate(names)}


def _cave() -> Layout:
    names = ("cd", "beads", "face")
    small = {"train": ("cd",), "val": ("beads",), "test": ("face",)}
    return Layout(
        replace(get_dataset("cave"), size=(6, 7), split=small),
        cubes(names, 31, (6, 7)),
        lambda root, name: root / f"{name}_ms",
        write_bands,
    )


def _ntire2020() -> Layout:
    train, validation = ("ARAD_HS_0001", "ARAD_HS_0002"), ("ARAD_HS_0451", "ARAD_HS_0453")

    def place(root: Path, name: str) -> Path:
        return root / f"NTIRE2020_{'Train' if name in train else 'Validation'}_Spectral" / f"{name}.mat"

    return Layout(
        replace(get_dataset("ntire2020"), size=(6, 7), split_of=partial(ntire2020.split_of, train=train, validation=2)),
        cubes(train + validation, 31, (6, 7), "float64"),
        place,
        partial(write_matlab_73, variable="cube", bands=ntire2020.WAVELENGTHS[None], norm_factor=[[1.0]]),
    )


def _arad_1k() -> Layout:
    names = ("ARAD_1K_0001", "ARAD_1K_0901")
    return Layout(
        replace(get_dataset("arad-1k"), size=(6, 7), split={"train": names[:1], "val": names[1:], "test": ()}),
        cubes(names, 31, (6, 7), "float32"),
        lambda root, name: root / "Train_Spec" / f"{name}.mat",
        partial(write_matlab_73, variable="cube", bands=ntire2020.WAVELENGTHS[None]),
    )


def _harvard() -> Layout:
    names = ("img1", "imgb5", "imgh3")
    return Layout(
        replace(
            get_dataset("harvard"), size=(6, 7), split=dict(zip(("train", "val", "test"), zip(names), strict=True))
        ),
        cubes(names, 31, (6, 7), "float64"),
        lambda root, name: root / "CZ_hsdb" / f"{name}.mat",
        lambda path, cube: write_matlab_5(path, cube, "ref", lbl=np.ones(cube.shape[1:], np.uint8)),
    )


def _kaist() -> Layout:
    names = ("scene01", "scene02", "scene03")
    return Layout(
        replace(get_dataset("kaist"), size=(6, 7), split=dict(zip(("train", "val", "test"), zip(names), strict=True))),
        cubes(names, 31, (6, 7), "float32"),
        lambda root, name: root / f"{name}_reflectance.exr",
        write_exr,
    )


def _pavia(name: str, image: str, variable: str, file: str) -> Layout:
    whole = get_dataset(name)
    return Layout(
        replace(whole, size=(12, 7), regions=strips(image, tuple(whole.scenes), (12, 7))),
        cubes((image,), len(whole.wavelengths), (12, 7), "float64" if "centre" in name else "uint16"),
        lambda root, name: root / file,
        partial(write_matlab_5, variable=variable),
    )


def _chikusei() -> Layout:
    whole = get_dataset("chikusei")
    rows, columns = (1, 13), (2, 9)
    return Layout(
        replace(
            whole,
            read=partial(chikusei.read, rows=rows, columns=columns),
            size=(12, 7),
            regions=strips("chikusei", tuple(whole.scenes), (12, 7)),
        ),
        cubes(("chikusei",), 128, (14, 9), "float64"),
        lambda root, name: root / "HyperspecVNIR_Chikusei_20140729.mat",
        partial(write_matlab_73, variable="chikusei"),
        expected=lambda cube, name: cube[:, 1:13, 2:9],
    )


def _colosseum() -> Layout:
    whole = get_dataset("worldview2-colosseum")
    return Layout(
        replace(whole, regions=strips("colosseum", tuple(whole.scenes), (12, 7))),
        cubes(("colosseum",), 8, (12, 7)),
        lambda root, name: root,
        write_colosseum,
        sized=False,
    )


def _pairs(name: str, hsi: str, reference: str) -> Layout:
    train = tuple(f"scene_{i}" for i in range(ssc_hsr.EVERY))

    def beside(root: Path) -> None:
        (root / reference / "HR").mkdir(parents=True)
        for i, name in enumerate((*train, "test_1")):
            iio.imwrite(root / reference / "HR" / f"{name}.png", np.full((6, 7, 3), i, np.uint8))
        (root / "train.txt").write_text("\n".join(train) + "\n")
        (root / "test.txt").write_text("test_1\n")

    return Layout(
        get_dataset(name),
        cubes((*train, "test_1"), 31, (6, 7), "float64"),
        lambda root, name: root / hsi / "HR" / f"{name}.mat",
        partial(write_matlab_5, variable="gt"),
        beside,
    )


def _icvl() -> Layout:
    names = ("BGU_0403-1419-1", "bulb_0822-0909", "omer_0331-1055")
    split = dict(zip(("train", "val", "test"), zip(names), strict=True))
    return Layout(
        replace(get_dataset("icvl"), size=(6, 7), split=split, split_of=None),
        cubes(names, 31, (6, 7), "float64"),
        lambda root, name: root / f"{name}.mat",
        partial(write_matlab_73, variable="rad"),
    )


def _vnir100() -> Layout:
    grids = {
        "reno": 398.0 + 4.714 * np.arange(100),
        "pavia_centre_crop": np.linspace(430, 860, 102),
        "pavia_university_subset_r000_096": np.linspace(430, 860, 103),
        "samson": np.linspace(401, 889, 156),
    }
    regions = {
        name: Region(region.image, tuple(n // 4 for n in region.rows), tuple(n // 4 for n in region.columns))
        for name, region in vnir100.DATASETS["vnir100"].regions.items()
    }

    def write(path: Path, cube: np.ndarray) -> None:
        write_compact(path, cube, grids[path.stem])

    def expected(cube: np.ndarray, name: str) -> np.ndarray:
        flat = cube.reshape(len(cube), -1)
        each = [np.interp(vnir100.WAVELENGTHS, grids[name], spectrum) for spectrum in flat.T]
        return np.stack(each, 1).reshape(100, *cube.shape[1:])

    return Layout(
        replace(vnir100.DATASETS["vnir100"], regions=regions),
        {name: cubes((name,), len(grid), (38, 37))[name] for name, grid in grids.items()},
        lambda root, name: root / f"{name}.npz",
        write,
        expected=expected,
    )


def _aviris() -> Layout:
    first = {"indian_pines_subset": 3, "jasper_ridge": 3}

    def expected(cube: np.ndarray, name: str) -> np.ndarray:
        channels = dict(enumerate(cube, first.get(name, 0)))
        return np.stack([channels[c] for c in range(3, 103) if c - 3 not in aviris.NOISY])

    whole = get_dataset("aviris")
    return Layout(
        whole,
        {name: cubes((name,), 103 - first.get(name, 0), (6, 7))[name] for name in whole.scenes},
        lambda root, name: root / f"{name}.npz",
        write_compact,
        expected=expected,
        sized=False,
    )


def _paris() -> Layout:
    from finewave.datasets.catalogue.paris import CHANNELS

    whole = get_dataset("paris")

    def write(path: Path, cube: np.ndarray) -> None:
        ali = np.full((*cube.shape[1:], 9), 0.5)
        write_matlab_5(path, cube, "HSim", MSim=ali, non_del_bands=CHANNELS[None].astype(float))

    return Layout(
        replace(whole, size=(12, 7), regions=strips("paris", tuple(whole.scenes), (12, 7))),
        cubes(("paris",), 128, (12, 7), "float64"),
        lambda root, name: root / "paris_data_hs_ms.mat",
        write,
    )


def _enmap() -> Layout:
    """Bands of the files are VNIR, then SWIR; the scenes have them by wavelength, without the empty ones."""
    whole = get_dataset("enmap")
    names = ("64_0", "64_32", "96_96")
    by_wavelength = np.argsort(np.delete(enmap._CENTRES, enmap.EMPTY))

    def write(path: Path, cube: np.ndarray) -> None:
        full = np.insert(cube, 129, np.full((6, *cube.shape[1:]), -32768.0), axis=0).astype(np.float32)
        kind = {"driver": "GTiff", "count": len(full), "height": full.shape[1], "width": full.shape[2]}
        with rasterio.open(path, "w", dtype="float32", nodata=-32768, **kind) as file:
            file.write(full)

    return Layout(
        replace(whole, size=(6, 7), split=dict(zip(("train", "val", "test"), zip(names), strict=True))),
        cubes(names, 218, (6, 7)),
        lambda root, name: root / f"enmap_potsdam_tile_{name}.tif",
        write,
        expected=lambda cube, name: cube[by_wavelength],
    )


LAYOUTS: dict[str, Callable[[], Layout]] = {
    "cave": _cave,
    "ntire2020": _ntire2020,
    "arad-1k": _arad_1k,
    "harvard": _harvard,
    "kaist": _kaist,
    "pavia-centre": partial(_pavia, "pavia-centre", "pavia", "pavia", "Pavia.mat"),
    "pavia-centre@sspsr": partial(_pavia, "pavia-centre@sspsr", "pavia", "pavia", "Pavia.mat"),
    "pavia-university": partial(_pavia, "pavia-university", "paviaU", "paviaU", "PaviaU.mat"),
    "chikusei": _chikusei,
    "worldview2-colosseum": _colosseum,
    "ssc-hsr": partial(_pairs, "ssc-hsr", "img1_hsi", "img2_cmatch"),
    "flowers": partial(_pairs, "flowers", "0_0_hsi", "3_3"),
    "icvl": _icvl,
    "vnir100": _vnir100,
    "aviris": _aviris,
    "paris": _paris,
    "enmap": _enmap,
}
