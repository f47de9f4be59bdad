"""Photographs: PNG, JPEG and plain RGB TIFF. Their values are sRGB-encoded; scenes hold linear light."""

from __future__ import annotations

import base64
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.io.atomic import atomic_output
from finewave.io.file_errors import reading
from finewave.io.formats.gdal.gdal_access import driver_of, quiet_gdal
from finewave.io.formats.gdal.icc import to_srgb, warn_of_unapplied
from finewave.io.formats.gdal.raster import open_raster
from finewave.io.formats.photos.camera_files import allow_heif, read_raw
from finewave.io.formats.photos.colour_tags import warn_of_other_colours
from finewave.io.formats.values.decoding import Decoding
from finewave.io.open_options import OpenOptions, SaveOptions
from finewave.physics.rendering.srgb import linear_to_srgb
from finewave.scene import band_values, make_scene
from finewave.warnings import FinewaveWarning

#: Attribute for the transfer function of the values: ``"linear"`` or ``"sRGB"``.
TRANSFER = "transfer_function"


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open a PNG or JPEG.

    Returns
    -------
    xarray.DataArray
        Three bands R, G, B (one band for greyscale) in [0, 1], rotated by the EXIF orientation; fully transparent
        pixels are NaN.
    """
    if path.suffix.lower() == ".dng":
        developed = read_raw(path)
        top = options.scale or float(np.iinfo(developed.dtype).max)
        linear = Decoding(developed.dtype, 1.0 / top).apply(developed)
        return make_scene(linear if options.linearise else linear_to_srgb(linear), **_description(3, options.linearise))
    if path.suffix.lower() in (".heic", ".heif"):
        allow_heif(path)
    _warn_of_world_file(path)
    channels, alpha = read_channels(path)
    top = float(np.iinfo(channels.dtype).max) if options.scale is None else options.scale
    if not (np.isfinite(top) and top > 0):
        raise InputError(f"full_scale= is the stored number that represents 1.0 and must be positive; got {top}")
    decoding = Decoding(channels.dtype, 1.0 / top, linearise=options.linearise)
    values = decoding.apply(channels)
    if alpha is not None and np.any(alpha == 0):
        values[:, alpha == 0] = np.nan
    if alpha is not None and np.any((alpha > 0) & (alpha < np.iinfo(alpha.dtype).max)):
        warnings.warn(
            f"{path}: the transparency of half-transparent pixels was ignored; put the picture on a "
            "background to have it count",
            FinewaveWarning,
            stacklevel=4,
        )
    return make_scene(values, **_description(len(channels), options.linearise))


def _warn_of_world_file(path: Path) -> None:
    """Warn of a world file beside a photograph, whose place is not read."""
    short = path.suffix[1:2] + path.suffix[-1:] + "w"  # .jgw of .jpg
    for suffix in (f".{short}", f"{path.suffix}w", ".wld"):
        if path.with_suffix(suffix).is_file():
            warnings.warn(
                f"{path}: the georeference in {path.with_suffix(suffix).name} is not read, photographs have no place; "
                "convert them to GeoTIFF to keep it",
                FinewaveWarning,
                stacklevel=4,
            )

    sidecar = path.with_name(path.name + ".aux.xml")
    if sidecar.is_file() and b"<GeoTransform>" in sidecar.read_bytes():
        warnings.warn(
            f"{path}: the georeference in {sidecar.name} is not read, photographs have no place; convert it to GeoTIFF "
            "to keep it",
            FinewaveWarning,
            stacklevel=4,
        )


def open_tiff(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open a plain RGB TIFF of bytes, lazily.

    Parameters
    ----------
    path : pathlib.Path
        The file; a fourth band is transparency and left out.
    options : OpenOptions
        What the user stated.

    Returns
    -------
    xarray.DataArray
        Three bands R, G, B in [0, 1].
    """
    import rasterio

    with reading(path, "TIFF"), quiet_gdal(), rasterio.open(path, driver=driver_of(path)) as dataset:
        embedded = dataset.tags(ns="COLOR_PROFILE").get("SOURCE_ICC_PROFILE")
        space = dataset.tags(ns="IMAGE_STRUCTURE").get("SOURCE_COLOR_SPACE", "YCbCr")
    if space != "YCbCr":  # which is sRGB in other coordinates
        warnings.warn(
            f"{path} has colours in {space}, converted by GDAL without a colour profile; convert it to sRGB to be sure",
            FinewaveWarning,
            stacklevel=4,
        )
    profile = base64.b64decode(embedded) if embedded else None
    return open_raster(
        path,
        "TIFF",
        options,
        decoding=Decoding(np.dtype(np.uint8), 1.0 / (options.scale or 255.0), linearise=options.linearise),
        bands=3,
        recolour=to_srgb(profile, 3, path),
        **_description(3, options.linearise),
    )


def _description(bands: int, linearise: bool) -> dict[str, Any]:
    attrs = {TRANSFER: "linear" if linearise else "sRGB"}
    if bands != 3:
        return {"attrs": attrs, "band_names": ["grey"]}
    return {"attrs": {"sensor": "srgb", **attrs}, "band_names": ["R", "G", "B"]}


def read_channels(path: Path, *, by_profile: bool = True) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Read the stored numbers of a PNG or JPEG.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    by_profile : bool
        Convert colours to sRGB by the file's colour profile; not for measurements.

    Returns
    -------
    channels : numpy.ndarray
        Shape ``(1 or 3, y, x)``, uint8 or uint16; bytes are converted to sRGB.
    alpha : numpy.ndarray or None
        Alpha, shape ``(y, x)``, 0 where transparent.
    """
    from PIL import Image, ImageOps

    with reading(path, "image"):
        deep = _read_16_bits(path)
        with Image.open(path) as opened:
            profile = opened.info.get("icc_profile")
            if by_profile and profile is None:
                warn_of_other_colours(path)
            if deep is not None:
                warn_of_unapplied(profile if by_profile else None, path, "pictures of 16 bits are read as they are")
                pixels = turned(deep, int(opened.getexif().get(_ORIENTATION, 1)))
            else:
                if by_profile and profile is None and opened.getexif().get_ifd(_INTEROPERABILITY).get(1) == "R03":
                    warnings.warn(
                        f"{path}: its EXIF data say Adobe RGB, but it has no colour profile; it is taken as sRGB, "
                        "convert it to be sure",
                        FinewaveWarning,
                        stacklevel=5,
                    )
                pixels = _in_srgb(ImageOps.exif_transpose(opened), profile if by_profile else None, path)
    has_alpha = len(pixels) in (2, 4)
    return (pixels[:-1], pixels[-1]) if has_alpha else (pixels, None)


def turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Rotate and mirror an image (bands, y, x) by the tag Orientation of TIFF and EXIF, 1 (upright) to 8."""
    if orientation not in range(2, 9):
        return pixels
    if orientation >= 5:
        pixels = pixels.swapaxes(1, 2)
    # after the exchange of the axes: 2, 6 and 3, 7 reverse columns, 4, 8 and 3, 7 rows
    step_y = -1 if orientation in (3, 4, 7, 8) else 1
    step_x = -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(pixels[:, ::step_y, ::step_x])


_ORIENTATION = 0x112
_INTEROPERABILITY = 0xA005  # EXIF directory with the camera's colour space


def _in_srgb(image: Any, profile: bytes | None, path: Path) -> NDArray[Any]:
    """Return the bytes (bands, y, x) of an image of Pillow in sRGB: grey or colour, with or without alpha."""
    if image.mode == "CMYK" and (recolour := to_srgb(profile, 4, path)) is not None:
        return recolour(_planes(image))
    planes = _planes(image.convert(_mode(image)))
    colours = 1 if len(planes) < 3 else 3
    recolour = to_srgb(profile, colours, path) if image.mode != "CMYK" else None
    return planes if recolour is None else np.concatenate([recolour(planes[:colours]), planes[colours:]])


def _planes(image: Any) -> NDArray[Any]:
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)


def _mode(image: Any) -> str:
    """Convert any image mode (palettes, CMYK, ...) to grey or colour, with or without alpha."""
    transparent = "transparency" in image.info
    if image.mode in ("L", "1") and not transparent:
        return "L"
    if image.mode in ("LA", "La") or image.mode in ("L", "1"):
        return "LA"
    return "RGBA" if transparent or image.mode in ("RGBA", "RGBa", "PA") else "RGB"


def _read_16_bits(path: Path) -> NDArray[Any] | None:
    """Read a PNG of 16 bits a channel, whatever its name; None for others. Pillow would cut its colours to 8 bits."""
    import rasterio

    with path.open("rb") as file:
        if file.read(len(_PNG)) != _PNG:
            return None
    with quiet_gdal(), rasterio.open(path, driver="PNG") as dataset:
        if dataset.dtypes[0] != "uint16":
            return None
        pixels: NDArray[Any] = dataset.read()
        if dataset.nodata is not None and dataset.count in (1, 3):  # one colour is transparent
            opaque = np.any(pixels != np.reshape(dataset.nodatavals, (-1, 1, 1)), axis=0, keepdims=True)
            pixels = np.concatenate([pixels, np.where(opaque, np.uint16(65535), np.uint16(0))])
        return pixels


_PNG = b"\x89PNG\r\n\x1a\n"


def save_file(scene: xr.DataArray, path: Path, options: SaveOptions) -> None:
    """Write an RGB scene as a photograph, sRGB-encoded.

    Parameters
    ----------
    scene : xarray.DataArray
        Three bands in the order R, G, B; linear light in [0, 1], unless its attribute
        ``transfer_function`` is ``"sRGB"``. Of other scenes the picture that `finewave.to_rgb` makes, where that is
        true or natural colour.
    path : pathlib.Path
        ``.png`` or ``.jpg``.
    options : SaveOptions
        ``dtype`` ``"uint8"`` or, for PNG, ``"uint16"``; ``format_options``: ``quality`` of a JPEG (95).
    """
    dtype = np.dtype(options.dtype or np.uint8)
    is_png = path.suffix.lower() == ".png"
    if scene.sizes["band"] != 3:
        scene = _as_picture(scene, path)
    if dtype not in (np.uint8, np.uint16) or (dtype == np.uint16 and not is_png):
        raise InputError(f"{path.name}: {dtype} values; PNG holds uint8 and uint16, JPEG holds uint8")
    if options.scale is not None or options.nodata is not None:
        raise InputError(f"{path.name}: full_scale= and nodata= have no meaning for a photograph")
    values = np.asarray(_red_first(scene, path).values, np.float64)
    outside = int(np.count_nonzero((values < 0) | (values > 1)))
    missing = int(np.count_nonzero(np.isnan(values)))
    if outside or missing:
        warnings.warn(
            f"{path.name}: {outside} values outside [0, 1] were clipped, {missing} missing ones written as "
            "black; save as .tif to keep them",
            FinewaveWarning,
            stacklevel=4,
        )
    values = np.clip(np.nan_to_num(values, nan=0.0), 0, 1)
    encoded = values if scene.attrs.get(TRANSFER) == "sRGB" else linear_to_srgb(values)
    pixels = np.rint(encoded * np.iinfo(dtype).max).astype(dtype)
    with atomic_output(path) as temporary:
        # The encoders do not report every error of the disk, so that Python writes the file.
        if dtype == np.uint16:
            temporary.write_bytes(_png_of_16_bits(pixels))
        else:
            import imageio.v3 as imageio

            keywords: dict[str, Any] = {}
            if not is_png:
                # No halving of the colours: a scene's colours are measurements.
                keywords = {
                    "quality": int((options.format_options or {}).get("quality", 95)),
                    "subsampling": 0,
                }
            image = np.moveaxis(pixels, 0, -1)
            extension = ".png" if is_png else ".jpg"
            temporary.write_bytes(imageio.imwrite("<bytes>", image, extension=extension, plugin="pillow", **keywords))


def _as_picture(scene: xr.DataArray, path: Path) -> xr.DataArray:
    """Return the picture of a scene with known red, green and blue bands."""
    from finewave.physics.rendering.colour import to_rgb
    from finewave.physics.rendering.renderings import offered_renderings

    shown = next(iter(offered_renderings(scene).values()))
    if shown.name not in ("true", "natural"):
        raise InputError(
            f"{path.name}: a photograph has three bands (R, G, B), the scene has {scene.sizes['band']}; "
            "choose three of them, or save to .tif, .nc, .zarr, .h5, .mat or ENVI"
        )
    warnings.warn(
        f"{path.name} is a picture of the {scene.sizes['band']} bands: {shown.label}; save as .tif to keep the spectra",
        FinewaveWarning,
        stacklevel=5,
    )
    return to_rgb(scene)


def _red_first(scene: xr.DataArray, path: Path) -> xr.DataArray:
    wavelengths = band_values(scene, "wavelength")
    if wavelengths is None or np.all(np.diff(wavelengths) <= 0):
        return scene
    warnings.warn(
        f"{path.name}: the bands were put in the order of falling wavelength, red first; save as .tif to keep theirs",
        FinewaveWarning,
        stacklevel=5,
    )
    return scene.isel(band=np.argsort(wavelengths)[::-1])


def _png_of_16_bits(pixels: NDArray[Any]) -> bytes:
    from rasterio.io import MemoryFile

    bands, height, width = pixels.shape
    with quiet_gdal(), MemoryFile() as memory:
        with memory.open(driver="PNG", count=bands, height=height, width=width, dtype="uint16") as dataset:
            dataset.write(pixels)
        return bytes(memory.getbuffer())
