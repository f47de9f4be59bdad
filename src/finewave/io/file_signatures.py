"""Identification of files that cannot be read, by signature or name, and advice for conversion."""

from __future__ import annotations

from pathlib import Path

# Offset and bytes of a signature, its format, and the extension under which finewave reads it (None: not supported).
_SIGNATURES: tuple[tuple[int, bytes, str, str | None], ...] = (
    (0, b"II*\0", "a TIFF", ".tif"),
    (0, b"MM\0*", "a TIFF", ".tif"),
    (0, b"II+\0", "a BigTIFF", ".tif"),
    (0, b"MM\0+", "a BigTIFF", ".tif"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file", ".h5"),
    (512, b"\x89HDF\r\n\x1a\n", "an HDF5 file", ".h5"),
    (0, b"CDF\x01", "a NetCDF 3 file", ".nc"),
    (0, b"CDF\x02", "a NetCDF 3 file", ".nc"),
    (0, b"CDF\x05", "a NetCDF 3 file", ".nc"),
    (0, b"\x89PNG", "a PNG", ".png"),
    (0, b"\xff\xd8\xff", "a JPEG", ".jpg"),
    (0, b"MATLAB 5.0", "a MATLAB 5 file", ".mat"),
    (0, b"ENVI", "an ENVI header", ".hdr"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000", ".jp2"),
    (0, b"NITF", "a NITF", ".ntf"),
    (0, b"\x93NUMPY", "a NumPy array", ".npy"),
    (0, b"\x0e\x03\x13\x01", "an HDF4 file", None),
    (0, b"GRIB", "a GRIB file", None),
    (0, b"PK\x03\x04", "a ZIP archive", None),
    (0, b"\x1f\x8b", "a gzip archive", None),
    (0, b"7z\xbc\xaf", "a 7-Zip archive", None),
    (0, b"Rar!", "a RAR archive", None),
    (257, b"ustar", "a tar archive", None),
    (0, b"%PDF", "a PDF", None),
    (0, b"SIMPLE  =", "a FITS file", None),
    (0, b"EHFA_HEADER", "an ERDAS Imagine file", None),
    (0, b"msid", "a MrSID file", None),
    (0, b"SQLite format 3", "a GeoPackage or other SQLite file", None),
    (0, b"\x80\x04", "a Python pickle", None),
    (0, b"PAR1", "a Parquet table", None),
)

_ADVICE = {
    "an HDF4 file": "this GDAL has no HDF4 driver; convert it with h4toh5 FILE out.h5, or with gdal_translate where it "
    "has one",
    "a GRIB file": "install the xarray engine cfgrib and name it with --engine cfgrib",
    "a ZIP archive": "unpack it first",
    "a gzip archive": "unpack it first",
    "a 7-Zip archive": "unpack it first",
    "a RAR archive": "unpack it first",
    "a tar archive": "unpack it first",
    "a PDF": "export the image as TIFF from the program that made it",
    "a FITS file": "convert it with gdal_translate FILE out.tif",
    "an ERDAS Imagine file": "convert it with gdal_translate FILE out.tif",
    "a MrSID file": "convert it with a GDAL that has the MrSID driver: gdal_translate FILE out.tif",
    "a GeoPackage or other SQLite file": "convert it with gdal_translate FILE out.tif",
    "a Python pickle": "it could run any program, so that it is never opened; save the array with numpy.save",
    "a Parquet table": "it holds a table, not an image",
}
_BY_EXTENSION = {
    ".ecw": "an ECW file: convert it with a GDAL that has the ECW driver: gdal_translate FILE out.tif",
    ".sid": "a MrSID file: convert it with a GDAL that has the MrSID driver: gdal_translate FILE out.tif",
    ".grb": "a GRIB file: install the xarray engine cfgrib and name it with --engine cfgrib",
    ".grb2": "a GRIB file: install the xarray engine cfgrib and name it with --engine cfgrib",
    ".grib": "a GRIB file: install the xarray engine cfgrib and name it with --engine cfgrib",
    ".grib2": "a GRIB file: install the xarray engine cfgrib and name it with --engine cfgrib",
    ".las": "a point cloud, not an image",
    ".laz": "a point cloud, not an image",
    ".shp": "a vector file, not an image",
    ".geojson": "a vector file, not an image",
    ".csv": "a table, not an image; --wavelengths and --anchors take tables",
    ".pkl": "a Python pickle: it could run any program, so that it is never opened; save the array with numpy.save",
    ".pt": "a PyTorch file: save the array with numpy.save",
    ".dcm": "a DICOM file: export the image as TIFF from the program that made it",
    ".psd": "a Photoshop file: export it as TIFF or PNG",
    ".xcf": "a GIMP file: export it as TIFF or PNG",
    ".svg": "a drawing, not an image of pixels",
    ".mp4": "a film, not an image",
}


def signature_of(path: Path) -> tuple[str, str | None] | None:
    """Return a file's format by its signature, and the extension under which it is read; None if unknown."""
    try:
        with path.open("rb") as file:
            start = file.read(520)
    except OSError:
        return None
    return signature_in(start)


def signature_in(start: bytes) -> tuple[str, str | None] | None:
    """Return the same of the first bytes alone."""
    return next(
        ((kind, extension) for at, mark, kind, extension in _SIGNATURES if start[at : at + len(mark)] == mark), None
    )


def identify_file(path: Path) -> str | None:
    """Return a file's format and advice for conversion; None if unknown."""
    signature = signature_of(path)
    if signature is None:
        return _BY_EXTENSION.get(path.suffix.lower())
    kind, extension = signature
    if extension is not None:
        return f"{kind}: give it the extension {extension}"
    return f"{kind}: {_ADVICE[kind]}"
