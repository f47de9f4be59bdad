"""Conversion of library errors about damaged files and full disks to clear messages."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from finewave.errors import InputError
from finewave.io.network.location import remote_of

_WRITE_TROUBLE = {
    errno.ENOSPC: "the disk is full; free some space or choose another disk",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another disk",
    errno.EFBIG: "the file grew too large for this disk or for the limit set on file sizes",
    errno.EACCES: "permission denied; choose a folder you may write to",
    errno.EPERM: "the operation is not permitted; choose a folder you may write to",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.ENOENT: "the folder does not exist; create it first",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EISDIR: "it is a folder; give the name of a file",
    errno.ENAMETOOLONG: "the name is too long",
}


def first_line(error: BaseException) -> str:
    """Return an error's message on one line of limited length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."


@contextmanager
def reading(path: Path | str, kind: str) -> Iterator[None]:
    """Convert any error of a library about a file to an `InputError` of one line.

    Libraries meet damaged files with errors of every kind (OSError, ValueError, KeyError, SyntaxError, zlib
    errors, ...), so that all of them are translated; the original stays attached for ``--debug``.

    Parameters
    ----------
    path : path
        The file being read.
    kind : str
        Expected format, e.g. ``"GeoTIFF"``.

    Raises
    ------
    InputError
        Replaces any exception raised inside.
    """
    try:
        yield
    except InputError:
        raise
    except PermissionError as error:
        raise InputError(f"cannot read {path}: permission denied") from error
    except MemoryError as error:
        raise InputError(f"cannot read {path}: it does not fit in memory") from error
    except Exception as error:
        far = remote_of(path) is not None
        trouble = _far_trouble(error) if far else _read_trouble(Path(path), kind, error)
        raise InputError(f"cannot read {path} as {kind}: {trouble}") from error


_ANSWERS = (
    (r"\b(401|403)\b|AccessDenied|Forbidden|NoCredentials|InvalidCredentials|AWS_SECRET_ACCESS_KEY|credentials",
     "access is denied; are the credentials of its cloud set (AWS_NO_SIGN_REQUEST=YES where it asks for none)?"),
    (r"\b404\b|does not exist|NoSuchKey|NoSuchBucket|FileNotFound|No such file", "there is no such file"),
    (r"[Tt]ime-?d? ?out|Timeout", "the server did not answer in time"),
    (r"[Rr]esolve host|Name or service not known|getaddrinfo", "its host is not known; check the name and the network"),
    (r"[Rr]ange downloading not supported", "its server sends no parts of files; download it first"),
)  # fmt: skip


_URL = re.compile(r"\S*(?:://|/vsi|%3A%2F%2F)\S*")


def _far_trouble(error: BaseException) -> str:
    """Return why a remote file cannot be read, without its URL, which may contain signatures."""
    message = " ".join(f"{type(each).__name__} {each}" for each in (error, error.__cause__, error.__context__) if each)
    plain = _URL.sub("it", message)  # which may have any word and number in it, GDAL's has "timeout"
    for pattern, reason in _ANSWERS:
        if re.search(pattern, plain):
            return reason
    return f"the file is damaged, of another kind, or its server failed ({_URL.sub('it', first_line(error))})"


# Messages of libraries about intact files that they cannot read here.
_SOUND = (
    (
        r"[Ff]ilter.*(not registered|is not available)|can't open plugin|can't open directory.*plugin",
        "it is compressed with a filter of HDF5 that is not installed; install hdf5plugin: pip install hdf5plugin",
    ),
    (
        r"unable to lock file|Resource temporarily unavailable",
        "another program has it open for writing; close it there",
    ),
    (r"Too many open files", "too many files are open; close some, or raise the limit (ulimit -n)"),
    (
        r"[Uu]nknown codec|codec not available|[Uu]nsupported codec|Codec.*not (found|registered)",
        "it is compressed with a codec that is not installed (numcodecs and imagecodecs have most)",
    ),
    (r"requires the 'imagecodecs' package", "it is compressed with a codec of the package imagecodecs; install that"),
    (
        r"missing decoder|due to missing codec|not compiled with|compression.*not (supported|configured)",
        "it is compressed in a way that this GDAL cannot unpack; convert it: gdal_translate -co COMPRESS=DEFLATE",
    ),
)


def _read_trouble(path: Path, kind: str, error: Exception) -> str:
    """Return why a file cannot be read: another format, a missing package, or damage."""
    from finewave.io.file_signatures import identify_file, signature_of

    message = " ".join(str(each) for each in (error, error.__cause__, error.__context__) if each is not None)
    for pattern, reason in _SOUND:
        if re.search(pattern, message):
            return f"{reason} ({first_line(error)})"
    signature = signature_of(path) if path.is_file() else None
    if signature is not None and not _is_kind(signature, kind):
        return f"it is {identify_file(path)}"
    return f"the file is damaged, truncated or of another kind ({first_line(error)})"


# Words in the ``kind`` passed to `reading`, for the extension of each signature.
_WORDS = {
    ".tif": ("TIFF", "raster", "band"),
    ".h5": ("HDF5", "NetCDF", "MATLAB", "xarray"),
    ".nc": ("NetCDF", "xarray"),
    ".png": ("image", "photograph", "band", "raster"),
    ".jpg": ("image", "photograph", "band", "raster"),
    ".mat": ("MATLAB",),
    ".hdr": ("ENVI",),
    ".jp2": ("band", "raster"),
    ".ntf": ("raster",),
    ".npy": ("NumPy",),
}


def _is_kind(signature: tuple[str, str | None], kind: str) -> bool:
    """Whether a signature is that of the kind of file that is read."""
    name, extension = signature
    if name == "a ZIP archive" and "NumPy" in kind:  # .npz is one
        return True
    words = _WORDS.get(extension or "", ())
    return kind in ("scene", "metadata") or any(word in kind for word in words) or (extension is None and "zip" in kind)


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Turn an error of the disk or of a writing library into one helpful line.

    Parameters
    ----------
    path : path
        The output as the user named it.

    Raises
    ------
    InputError
        In place of OSError, and of what HDF5 and GDAL raise about the disk.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if not _is_of_the_disk(error):
            raise
        raise InputError(f"cannot write {path}: {_write_trouble(error)}") from error


def _is_of_the_disk(error: Exception) -> bool:
    """Tell faults of the disk from faults of a model that computes the values while they are written."""
    from_hdf5 = isinstance(error, RuntimeError) and "errno = " in str(error)
    # GDAL's errors are not all OSErrors.
    from_gdal = type(error).__module__.startswith("rasterio.")
    return isinstance(error, OSError) or from_hdf5 or from_gdal


def _write_trouble(error: BaseException) -> str:
    number = getattr(error, "errno", None)
    # HDF5 has the errno in its text, GDAL has the message in the cause.
    message = " ".join(str(each) for each in (error, error.__cause__, error.__context__) if each is not None)
    hidden = re.search(r"errno = (\d+)", message)
    if hidden:
        number = int(hidden.group(1))
    elif "No space left" in message:
        number = errno.ENOSPC
    if "Write failed" in message and number is None:
        detail = first_line(error.__cause__ or error)
        return f"the values could not be written completely ({detail}); is the disk full?"
    return _WRITE_TROUBLE.get(number or 0, first_line(error))
