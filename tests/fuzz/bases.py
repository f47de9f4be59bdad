"""A small sound file of every kind that is read."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import rasterio

from finewave.io.open_save import save_scene
from finewave.scene import make_scene
from tests.fuzz import product_bases

BANDS, SIDE = 4, 24


def write_bases(folder: Path) -> dict[str, Path]:
    """Write them, each in a folder of its own, and return them by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {**dict(_written(folder)), **dict(product_bases.written(folder))}


def _written(folder: Path) -> Iterator[tuple[str, Path]]:
    values = np.random.default_rng(18).random((BANDS, SIDE, SIDE), dtype=np.float32)
    scene = make_scene(
        values, [450, 550, 650, 850], crs="EPSG:32632", transform=(10, 0, 5e5, 0, -10, 5e6), fwhm=[20, 20, 20, 30]
    )

    def place(name: str, file: str) -> Path:
        (folder / name).mkdir(parents=True)
        return folder / name / file

    for name, file, options in (
        ("GeoTIFF", "a.tif", {}),
        ("GeoTIFF uint16", "a.tif", {"dtype": "uint16", "compress": "lzw"}),
        ("COG", "a.tif", {"cog": True}),
        ("ENVI", "a.hdr", {}),
        ("ENVI bip", "a.hdr", {"interleave": "bip", "dtype": "int16"}),
        ("NetCDF 4", "a.nc", {}),
        ("NetCDF 4 uint16", "a.nc", {"dtype": "uint16"}),
        ("HDF5", "a.h5", {}),
        ("Zarr 3", "a.zarr", {}),
        ("Zarr 2", "a.zarr", {"zarr_format": 2}),
        ("MATLAB 5", "a.mat", {"version": "5"}),
        ("MATLAB 7.3", "a.mat", {"version": "7.3"}),
    ):
        path = place(name, file)
        save_scene(scene, path, **options)
        yield name, path
    path = place("NetCDF 3", "a.nc")
    import xarray as xr

    image = xr.DataArray(values, dims=("band", "y", "x"), coords={"wavelength": ("band", [450.0, 550, 650, 850])})
    image.to_dataset(name="reflectance").to_netcdf(path, engine="scipy", format="NETCDF3_64BIT")
    yield "NetCDF 3", path
    path = place("MATLAB 5 of others", "a.mat")
    import scipy.io

    content = {"cube": values.transpose(1, 2, 0), "info": {"wavelength": [1.0, 2, 3, 4], "name": "x"}, "cell": [1, "a"]}
    scipy.io.savemat(path, content, do_compression=True)
    yield "MATLAB 5 of others", path
    bytes_ = (255 * values[:3].transpose(1, 2, 0)).astype(np.uint8)
    for name, file in (("PNG", "a.png"), ("JPEG", "a.jpg")):
        path = place(name, file)
        iio.imwrite(path, bytes_)
        yield name, path
    path = place("PNG 16", "a.png")
    with rasterio.open(path, "w", driver="PNG", dtype="uint16", count=3, height=SIDE, width=SIDE) as dataset:
        dataset.write((60000 * values[:3]).astype(np.uint16))
    yield "PNG 16", path
    path = place("folder of bands", "scene")
    path.mkdir()
    for band in range(3):
        iio.imwrite(path / f"band_{band + 1}_{450 + 100 * band}nm.png", bytes_[..., band])
    yield "folder of bands", path
