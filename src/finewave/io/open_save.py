"""Opening and saving scenes: the format is chosen by the name."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from finewave.errors import InputError, unknown_name
from finewave.extras import missing_format
from finewave.io.network.location import Location, Remote, location_of
from finewave.text.plain_numbers import as_plain
from finewave.warnings import FinewaveWarning, RadianceWarning

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from finewave.io.open_options import OpenOptions
    from finewave.io.products import Product


@dataclass(frozen=True)
class Format:
    """A file format: its name, its extensions, and the module with ``open_file`` and ``save_file``.

    ``needs`` are packages that an installation for exported models alone may lack.
    """

    name: str
    module: str
    extensions: tuple[str, ...]
    has_variables: bool = False
    has_resolution: bool = False
    has_lookup_table: bool = False
    has_clouds: bool = False
    save_options: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


_OF_HDF5 = ("h5py", "h5netcdf")
_OF_ZARR = ("zarr", "numcodecs")
_OF_MATLAB = ("scipy", "h5py")
_OF_PICTURES = ("imageio", "PIL")
# Formats that are read and written.
FORMATS = (
    Format("GeoTIFF", "geotiff", (".tif", ".tiff", ".gtiff"), save_options=("cog", "compress", "interleave")),
    Format(
        "ENVI",
        "envi",
        (".hdr", ".img", ".dat", ".bsq", ".bil", ".bip", ".envi", ".raw"),
        save_options=("interleave",),
    ),
    Format("NetCDF", "netcdf", (".nc", ".nc4", ".cdf"), True, save_options=("interleave",), needs=_OF_HDF5),
    Format(
        "Zarr",
        "zarr_store",
        (".zarr",),
        has_variables=True,
        save_options=("zarr_format", "interleave", "layout"),
        needs=_OF_ZARR,
    ),
    Format("HDF5", "hdf5", (".h5", ".hdf5", ".hdf", ".he5"), True, save_options=("interleave",), needs=_OF_HDF5),
    Format("MATLAB", "matlab", (".mat",), True, save_options=("version", "name"), needs=_OF_MATLAB),
    Format("photograph", "photo", (".png", ".jpg", ".jpeg"), save_options=("quality",), needs=_OF_PICTURES),
)
# Formats that are only read.
READ_ONLY = (
    Format(
        "raster",
        "gdal_raster",
        (".jp2", ".j2k", ".vrt", ".ntf", ".nitf", ".nsf", ".pix", ".rst", ".bmp"),
        has_variables=True,
    ),
    Format("NumPy array", "numpy_arrays", (".npy", ".npz"), has_variables=True),
    Format("photograph", "photo", (".webp", ".avif", ".heic", ".heif", ".dng"), needs=_OF_PICTURES),
)
_XARRAY = Format("dataset of an xarray engine", "xarray_engine", (), has_variables=True)
_BAND_FOLDER = Format("folder of bands", "band_folder", (), has_resolution=True)
_BY_EXTENSION = {extension: each for each in (*FORMATS, *READ_ONLY) for extension in each.extensions}
_TO_SAVE = {extension: each for each in FORMATS for extension in each.extensions}


def open_scene(
    path: str | Path | Remote,
    wavelengths: Sequence[float] | np.ndarray[Any, Any] | str | Path | None = None,
    variable: str | None = None,
    *,
    full_scale: float | None = None,
    linearise: bool = True,
    band_axis: int | None = None,
    resolution: float | None = None,
    overview: int | None = None,
    engine: str | None = None,
    orthorectify: bool = False,
    mask_clouds: bool = False,
    chunks: int | str | Mapping[str, Any] | None = None,
    scale: float | None = None,
) -> xr.DataArray:
    """Open an image as a scene.

    GeoTIFF (also cloud-optimised), ENVI, NetCDF, Zarr, HDF5 (also MATLAB 7.3), Sentinel-2 products and folders of
    georeferenced bands are read lazily; photographs, older MATLAB files and folders of pictures are read immediately.

    Parameters
    ----------
    path : str or pathlib.Path
        Of this machine, or a URL or cloud path (``https://``, ``s3://``, ``gs://``, ``az://``, ``/vsicurl/...``), of
        which only what is asked for is fetched where the format allows it: of GeoTIFF, other rasters and Zarr.
        GeoTIFF, ENVI (header or data file), NetCDF, Zarr, HDF5, MATLAB, NumPy, PNG, JPEG, WebP, AVIF, HEIC, DNG,
        JPEG 2000, VRT, NITF and other rasters that GDAL reads, a product of a mission, a STAC item, or a folder with
        one image per band, in the natural order of their names.
    wavelengths : sequence of float or path, optional
        Centre wavelengths in nm, one per band, or a CSV file with a column ``wavelength_nm``; overrides those of the
        file.
    variable : str, optional
        Array of a NetCDF, Zarr, HDF5, MATLAB or NumPy file, or the common prefix of one-band arrays; needed if there
        are several candidates.
    full_scale : float, optional
        The stored number that represents 1.0: values are divided by it. By default the scale factor of the
        file; integers without one are assumed to be reflectance x 255 (8 bits), x 10000 (wider, up to 20000) or
        x 65535, with a warning. Bytes and 16-bit values of PNG and JPEG are 255 and 65535 by definition.
    linearise : bool
        Undo the sRGB curve of photographs (IEC 61966-2-1), so that values are proportional to light. A
        TIFF counts as a photograph when it holds three bytes per pixel and no georeference or wavelengths.
        Images in a folder of bands are measurements and never changed.
    band_axis : int, optional
        Band axis of an HDF5 or MATLAB array, as shown by h5py and MATLAB. By default the axis with the length of the
        list of wavelengths; otherwise the last one for MATLAB, and for HDF5 the one that differs from two equal ones,
        or the shortest.
    resolution : float, optional
        Of a folder of georeferenced bands at several resolutions: the side of a pixel, in units of the map, of the
        grid on which all are brought; one of those that there are, by default the finest.
    overview : int, optional
        Open this overview of a GeoTIFF, 0 the first, instead of the full resolution: the same bands and scale with
        fewer pixels. See `finewave.io.open_save.overview_factors`.
    engine : str, optional
        Name of an installed xarray engine to open the file, whatever its name.
    orthorectify : bool
        Resample a swath to the map grid of its own lookup table (EMIT), nearest pixel. By default it stays in sensor
        geometry, with control points.
    mask_clouds : bool
        Blank clouds and their shadows, for maps, as the quality layers of Sentinel-2 L2A, Landsat, PlanetScope and
        EnMAP mark them; see `finewave.io.products.common.cloud_masks` for the classes.
    chunks : int, str or mapping, optional
        Chunks as in ``xarray.DataArray.chunk``, for users of dask.
    scale : float, optional
        Former name of ``full_scale``, with a DeprecationWarning. Elsewhere ``scale`` is the super-resolution factor.

    Returns
    -------
    xarray.DataArray
        Dims ``(band, y, x)``, float; physical values as the file defines them (reflectance in [0, 1] for most
        products), NaN where the file marks nodata. Coordinates as `finewave.scene.make_scene`
        documents; ``encoding`` remembers type, scale, offset and nodata of the file.

    Raises
    ------
    InputError
        The file is missing, damaged or of an unknown kind, or the keywords do not fit it.
    """
    from finewave.io.open_options import OpenOptions
    from finewave.scene import with_wavelengths
    from finewave.wavelengths import given_wavelengths

    if scale is not None:
        if full_scale is not None:
            raise InputError(f"{full_scale=} and {scale=} are the same option; leave the former name, scale, out")
        warnings.warn("open_scene(scale=...) is now full_scale=", DeprecationWarning, stacklevel=2)
        full_scale = scale
    options = OpenOptions(
        wavelengths=None if wavelengths is None else given_wavelengths(wavelengths),
        variable=variable,
        scale=as_plain(full_scale),
        linearise=linearise,
        band_axis=as_plain(band_axis),
        resolution=as_plain(resolution),
        overview=as_plain(overview),
        engine=engine,
        orthorectify=orthorectify,
        mask_clouds=mask_clouds,
    )
    source = location_of(path)
    scene = open_with(source, options) if isinstance(source, Path) else _open_remote(source, options)
    if options.wavelengths is not None:
        close = getattr(scene, "_close", None)
        scene = with_wavelengths(scene, options.wavelengths)
        scene.set_close(close)
    return scene if chunks is None else _chunked(scene, as_plain(chunks))


def open_with(source: Path, options: OpenOptions) -> xr.DataArray:
    """Open a local file or folder as a scene; see `open_scene`.

    Parameters
    ----------
    source : pathlib.Path
    options : OpenOptions
        What the user stated; wavelengths are not set here, but readers may use them.

    Returns
    -------
    xarray.DataArray
    """
    from finewave.io.file_errors import reading
    from finewave.io.plausibility import drop_implausible

    reader = _reader_of(source) if options.engine is None else _XARRAY
    if options.variable is not None and not reader.has_variables:
        raise InputError(f"variable= (--variable) has no meaning for {source}, a {reader.name} holds one image")
    if options.band_axis is not None and not reader.has_variables:
        raise InputError(f"band_axis= (--band-axis) has no meaning for {source}: a {reader.name} has bands, not axes")
    if options.resolution is not None and not reader.has_resolution:
        raise InputError(f"resolution= (--resolution) has no meaning for {source}, a {reader.name} has one")
    if options.mask_clouds and not reader.has_clouds:
        raise InputError(f"mask_clouds= (--mask-clouds) has no meaning for {source}: a {reader.name} has no cloud mask")
    if options.orthorectify and not reader.has_lookup_table:
        raise InputError(f"orthorectify= (--orthorectify) has no meaning for {source}: it has no lookup table")
    if options.overview is not None and reader.module != "geotiff":
        raise InputError(f"overview= has no meaning for {source}, a {reader.name} has none that could be read")
    with reading(source, reader.name):
        scene = drop_implausible(_module(reader).open_file(source, options), source)
    return _with_quantity(_dated(scene), source, is_product=reader not in FORMATS)


def _dated(scene: xr.DataArray) -> xr.DataArray:
    """Set the attribute ``datetime`` where other attributes state when the scene was taken."""
    from finewave.acquisition import date_attribute, stated_date

    if "datetime" not in scene.attrs:
        scene.attrs |= date_attribute(stated_date(scene.attrs))
    return scene


def _open_remote(source: Remote, options: OpenOptions) -> xr.DataArray:
    """Open a remote file."""
    from finewave.io.open_remote import open_remote
    from finewave.io.plausibility import drop_implausible

    for name, value in (
        ("engine", options.engine),
        ("overview", options.overview),
        ("orthorectify", options.orthorectify or None),
        ("mask_clouds", options.mask_clouds or None),
    ):
        if value is not None:
            raise InputError(f"{name}= has no meaning for the remote file {source}; download it first")
    scene = drop_implausible(open_remote(source, options, open_with), str(source))
    return _with_quantity(scene, source, is_product=True)


def _with_quantity(scene: xr.DataArray, source: Location, *, is_product: bool) -> xr.DataArray:
    """Warn of a product of radiance."""
    quantity = str(scene.attrs.get("quantity", ""))
    if quantity.startswith("radiance") and is_product:
        message = f"{source} holds {quantity}, not reflectance, which models expect; give them a product of reflectance"
        warnings.warn(message, RadianceWarning, stacklevel=3)
    return scene


def format_of(path: str | Path | Remote, engine: str | None = None) -> str:
    """Return the name of the format or product as which `open_scene` reads a path."""
    source = location_of(path)
    if not isinstance(source, Path):
        from finewave.io.open_remote import identify

        return identify(source).format_name
    return _reader_of(source).name if engine is None else f"{_XARRAY.name} ({engine})"


def overview_factors(path: str | Path | Remote) -> list[int]:
    """Return by how much each overview of a file is reduced, as ``open_scene(path, overview=i)`` opens it.

    Parameters
    ----------
    path : str or pathlib.Path
        As for `open_scene`.

    Returns
    -------
    list of int
        For example ``[2, 4, 8]``; empty if there are none, and for formats other than GeoTIFF.

    Raises
    ------
    InputError
        The file is missing, damaged or of an unknown kind.
    """
    source = location_of(path)
    if not isinstance(source, Path) or _reader_of(source).module != "geotiff":
        return []
    from finewave.io.formats.gdal.raster import overview_factors as of_raster

    return of_raster(source)


def load_scene(path: str | Path | Remote, **keywords: Any) -> xr.DataArray:
    """Open a scene and read its values, so that every fault of the file shows here.

    Parameters
    ----------
    path : str or pathlib.Path
        As for `open_scene`.
    **keywords
        As for `open_scene`.

    Returns
    -------
    xarray.DataArray
        The scene in memory. Infinite values have become NaN.

    Raises
    ------
    InputError
        As for `open_scene`, and when the values cannot be read.

    Warns
    -----
    FinewaveWarning
        Pixels are missing (NaN) or infinite, all values are zero, or the scene is a single pixel.
    """
    import numpy as np

    from finewave.io.file_errors import reading

    scene = open_scene(path, **keywords)
    path = location_of(path)
    with reading(str(path), "scene"):
        scene = scene.load()
    scene.close()
    values = scene.values
    infinite = int(np.count_nonzero(np.isinf(values)))
    if infinite:
        encoding, attrs = scene.encoding, scene.attrs
        values = np.where(np.isinf(values), np.nan, values).astype(values.dtype)
        scene = scene.copy(data=values)
        scene.encoding, scene.attrs = encoding, attrs
        _warn(
            f"{path}: {infinite} infinite values were taken as missing (NaN); give them values in the file to have some"
        )
    missing = int(np.count_nonzero(np.isnan(values)))
    if missing:
        _warn(
            f"{path}: {missing} of {values.size} values are missing (NaN or nodata) and stay so in every "
            "result; fill them in the file to have values"
        )
    if not np.any(np.nan_to_num(values)):
        _warn(f"{path}: no value differs from zero; is it the right file, or does variable= name another?")
    if scene.sizes["y"] * scene.sizes["x"] == 1:
        _warn(
            f"{path}: the scene is a single pixel; is it the right file, or does variable= or band_axis= say otherwise?"
        )
    return scene


def save_scene(
    scene: xr.DataArray,
    path: str | Path,
    *,
    dtype: str | np.dtype[Any] | type | None = None,
    full_scale: float | None = None,
    nodata: float | None = None,
    **options: Any,
) -> None:
    """Save a scene; the extension chooses the format.

    The output is written beside its final place and renamed when it is complete: an existing file is replaced
    only then, and nothing is left after a failure.

    Parameters
    ----------
    scene : xarray.DataArray
        Dims ``band``, ``y``, ``x``, or ``y``, ``x``.
    path : str or pathlib.Path
        The output: ``.tif``, ``.img``/``.hdr``/``.dat``/``.bsq`` (ENVI), ``.nc``, ``.zarr``, ``.h5``,
        ``.mat``, ``.png`` or ``.jpg``.
    dtype : optional
        Type of the stored numbers. By default that of ``scene.encoding`` (scaled integers are written as scaled
        integers again), otherwise float32. PNG: ``"uint8"`` (default) or ``"uint16"``.
    full_scale : float, optional
        The stored number that represents 1.0, the inverse of GDAL's and CF's scale factor. By default from
        ``scene.encoding``; integers without one get 255 (8 bits), 127 (int8) or 10000. It is stored in the file.
    nodata : float, optional
        The stored number for missing pixels. By default from ``scene.encoding``; otherwise NaN for floats, the smallest
        signed or the largest unsigned integer of 16 bits and more if unused.
    **options
        GeoTIFF, ENVI, NetCDF, HDF5, Zarr: ``interleave="band"`` (of more than four bands, so that one is read without
        the others) or ``"pixel"``; of ENVI ``"bil"``, too. GeoTIFF: ``cog=True``, ``compress="deflate"``. Zarr:
        ``zarr_format=2``, ``layout="eopf"`` (of ESA's EOPF: one array a band, by resolution). MATLAB: ``version="5"``
        or ``"7.3"`` (default by size), ``name="scene"``. JPEG: ``quality=95``.

    Raises
    ------
    InputError
        An unknown extension or option, a format that cannot hold the scene, a missing or read-only folder, or a full
        disk.

    Warns
    -----
    FinewaveWarning
        Values were clipped to the range of the stored type, or missing values could not be marked.
    """
    from finewave.io.formats.values.stated import without_numbers
    from finewave.io.open_options import SaveOptions
    from finewave.scene import check_scene, with_place_of_its_pixels

    target = Path(path)
    format_ = _TO_SAVE.get(target.suffix.lower())
    if format_ is None:
        raise _unknown_extension(target, _TO_SAVE)
    for name in options:
        if name == "scale":
            raise InputError("save_scene has no option 'scale'; the stored number that represents 1.0 is full_scale=")
        if name not in format_.save_options:
            raise unknown_name(
                f"option for {format_.name}", name, ("dtype", "full_scale", "nodata", *format_.save_options)
            )
    if target.is_dir() and format_.module != "zarr_store":
        raise InputError(f"cannot write {target}: it is a folder; give the name of a file")
    scene = with_place_of_its_pixels(check_scene(scene).copy(deep=False))
    scene.attrs = without_numbers(scene.attrs)  # of a file that the values come from
    _module(format_).save_file(
        scene,
        target,
        SaveOptions(
            dtype=dtype,
            scale=as_plain(full_scale),
            nodata=as_plain(nodata),
            format_options={name: as_plain(value) for name, value in options.items()},
        ),
    )


def _reader_of(path: Path) -> Format | Product:
    """Return the reader of a path: that of the product it belongs to, or that of its format by name."""
    from finewave.io.products import product_of

    return (product_of(path) if path.exists() else None) or _format_to_open(path)


def _format_to_open(path: Path) -> Format:
    format_ = _BY_EXTENSION.get(path.suffix.lower())
    if not path.exists():
        near = ""
        if path.parent.is_dir():
            import difflib

            names = [each.name for each in path.parent.iterdir()]
            match = difflib.get_close_matches(path.name, names, n=1)
            near = f"; did you mean {match[0]}?" if match else ""
        raise InputError(f"no such file: {path}{near}")
    if path.is_dir():
        is_store = any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray"))
        return _BY_EXTENSION[".zarr"] if is_store or path.suffix.lower() == ".zarr" else _BAND_FOLDER
    # ENVI data files often have no extension, or a custom one.
    if format_ is None and any(
        each.is_file() for each in (path.with_name(path.name + ".hdr"), path.with_suffix(".hdr"))
    ):
        return _BY_EXTENSION[".hdr"]
    if path.stat().st_size == 0:
        raise InputError(f"cannot read {path}: the file is empty")
    return format_ or _by_content(path)


def _by_content(path: Path) -> Format:
    """Choose the format of a file with an unknown extension: one that GDAL reads, or raise a helpful error."""
    from finewave.io.file_signatures import identify_file
    from finewave.io.formats.gdal_raster import is_readable
    from finewave.io.formats.xarray_engine import engines_for

    if is_readable(path):
        return READ_ONLY[0]
    engines = engines_for(path)
    if engines:
        raise InputError(
            f"{path} has no extension that is known, xarray can open it: give --engine {engines[0]} (engine=)"
        )
    foreign = identify_file(path)
    if foreign is not None:
        raise InputError(f"{path} cannot be read, it is {foreign}")
    raise _unknown_extension(path, _BY_EXTENSION)


def _unknown_extension(path: Path, known: Mapping[str, Format]) -> InputError:
    if not path.suffix:
        return InputError(f"{path} has no extension; supported: {', '.join(sorted(known))}")
    return unknown_name("extension", path.suffix, known)


def _module(entry: Format | Product) -> ModuleType:
    from finewave.io.products import Product, module_of

    if isinstance(entry, Product):
        return module_of(entry)
    check_packages(entry)
    return importlib.import_module(f"finewave.io.formats.{entry.module}")


def check_packages(entry: Format) -> None:
    """Raise an `InputError` if a package that a format needs is not installed."""
    for package in entry.needs:
        if importlib.util.find_spec(package) is None:
            raise missing_format(package)


def _chunked(scene: xr.DataArray, chunks: Any) -> xr.DataArray:
    encoding = dict(scene.encoding)
    try:
        scene = scene.chunk(chunks)
    except ImportError as error:
        raise InputError("chunks= needs dask, which is not installed; leave it out or install dask") from error
    scene.encoding = encoding
    return scene


def _warn(message: str) -> None:
    warnings.warn(message, FinewaveWarning, stacklevel=3)
