"""Opening of remote files: rasters and Zarr stores are read partially, others are downloaded."""

from __future__ import annotations

import io
import json
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.file_signatures import signature_in
from finewave.io.network.http import HttpMetadata, fetched, look_at
from finewave.io.network.location import Remote
from finewave.io.open_options import OpenOptions
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    import xarray as xr

OpenFile = Callable[[Path, OpenOptions], "xr.DataArray"]

WHOLE_BYTES = 2**29
"""Maximum size of a complete download."""
_PHOTOS = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".heic", ".heif", ".dng", ".bmp")
_FETCHED_WHOLE = (*_PHOTOS, ".npy", ".npz", ".mat", ".h5", ".hdf5", ".he5", ".nc", ".nc4", ".cdf")
# a virtual raster of elsewhere could have any file of this machine among its parts
_FROM_PARTS = (".hdr", ".img", ".dat", ".bsq", ".bil", ".bip", ".envi", ".raw", ".zip", ".tar", ".safe", ".til", ".vrt")


@dataclass(frozen=True)
class RemoteFile:
    """How a remote file is read.

    Attributes
    ----------
    remote : Remote
    kind : str
        ``"zarr"``, ``"stac"``, ``"whole"`` or ``"raster"``.
    suffix : str
        The extension of its name, or the one for its content.
    facts : HttpMetadata or None
        Its HTTP metadata.
    """

    remote: Remote
    kind: str
    suffix: str
    facts: HttpMetadata | None = None

    @property
    def format_name(self) -> str:
        """Name of the format, for people."""
        return {"zarr": "Zarr", "stac": "STAC item", "whole": f"{self.suffix} file", "raster": "raster"}[self.kind]


def identify(remote: Remote) -> RemoteFile:
    """Identify a file by its name, or by its first bytes.

    Raises
    ------
    InputError
        It cannot be reached, or is of a kind that cannot be read from there.
    """
    suffix = remote.suffix.lower()
    if any(each.suffix.lower() == ".zarr" for each in (remote.path, *remote.path.parents)):
        return RemoteFile(remote, "zarr", ".zarr")
    facts = look_at(remote) if remote.is_http else None
    if facts is not None and facts.beginning.lstrip().startswith(b"{"):
        return RemoteFile(remote, "stac", ".json", facts)
    if suffix in (".json", ".geojson"):
        return RemoteFile(remote, "stac", ".json", facts)
    if suffix in _FROM_PARTS:
        raise InputError(f"cannot read {remote} where it lies: download it first, with the files beside it")
    if facts is not None and facts.beginning[:1] == b"<":
        raise InputError(f"cannot read {remote}: the server sends a page, not an image; does the link need a login?")
    if suffix not in _FETCHED_WHOLE and facts is not None:
        found = signature_in(facts.beginning)
        suffix = (found[1] if found is not None else None) or suffix
    whole = suffix in _FETCHED_WHOLE or (facts is not None and not facts.ranges)
    return RemoteFile(remote, "whole" if whole else "raster", suffix, facts)


def open_remote(remote: Remote, options: OpenOptions, open_copy: OpenFile) -> xr.DataArray:
    """Open a remote file as `finewave.open_scene`.

    Parameters
    ----------
    remote : Remote
    options : OpenOptions
        What the user stated.
    open_copy : callable
        Opener of local files, for complete downloads.

    Returns
    -------
    xarray.DataArray
        The scene: lazy, where parts of a file can be read.

    Raises
    ------
    InputError
        It cannot be reached or read; or a package that its scheme needs is not installed.
    """
    file = identify(remote)
    if file.kind == "zarr":
        from finewave.io.remote_zarr import open_store

        return open_store(remote, options)
    if file.kind == "stac":
        from finewave.io.products.stac import open_item

        return open_item(_item(file), remote, options)
    if file.kind == "whole":
        return _open_whole(file, options, open_copy)
    return _open_raster(file, options, open_copy)


def _item(file: RemoteFile) -> Any:
    content = _content(file.remote, 2**26)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"cannot read {file.remote}: it is no JSON, and no STAC item") from error


def _content(remote: Remote, most: int) -> bytes:
    if remote.is_http:
        return fetched(remote, most)
    from finewave.io.network.filesystems import read_bytes

    with reading(str(remote), "file"):
        return read_bytes(remote, most)


def _open_whole(file: RemoteFile, options: OpenOptions, open_copy: OpenFile) -> xr.DataArray:
    """Fetch a file and open the copy; its values are then in memory."""
    size = None if file.facts is None else file.facts.size
    if size is not None and size > WHOLE_BYTES:
        why = "" if file.facts is None or file.facts.ranges else " (its server sends no parts)"
        raise InputError(
            f"cannot read {file.remote} where it lies: a {file.suffix or 'file'} of {size / 2**20:.0f} MB is not "
            f"fetched whole{why}; download it first"
        )
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"{file.remote.stem or 'file'}{file.suffix}"
        copy.write_bytes(_content(file.remote, WHOLE_BYTES))
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", FinewaveWarning)
                scene = open_copy(copy, options).load()
            scene.close()
        except InputError as error:
            raise InputError(str(error).replace(str(copy), str(file.remote))) from error
    for each in caught:
        warnings.warn(str(each.message).replace(str(copy), str(file.remote)), each.category, stacklevel=4)
    scene.set_close(None)
    return scene


def _open_raster(file: RemoteFile, options: OpenOptions, open_copy: OpenFile) -> xr.DataArray:
    from finewave.io.formats.gdal_raster import open_file
    from finewave.io.formats.geotiff import is_photograph_file, orientation_in, upright

    source, shown = file.remote.gdal_name, str(file.remote)
    of_tiff = options.variable if file.suffix in (".tif", ".tiff", ".gtiff") else None
    for name, value in (("variable", of_tiff), ("band_axis", options.band_axis), ("resolution", options.resolution)):
        if value is not None:
            raise InputError(
                f"{name}= (--{name.replace('_', '-')}) has no meaning for {shown}, a raster with one image"
            )
    if file.suffix in (".tif", ".tiff", ".gtiff") and is_photograph_file(shown, source, options):
        return _open_whole(RemoteFile(file.remote, "whole", file.suffix, file.facts), options, open_copy)
    scene = open_file(shown, options, source)
    located = "spatial_ref" in scene.coords or "x" in scene.coords
    if located or file.facts is None:
        return scene
    return upright(scene, orientation_in(io.BytesIO(file.facts.beginning)))


def stamp_of_remote(remote: Remote) -> str:
    """Return a text that changes with the file, if the server provides it; only the name for other schemes."""
    import hashlib

    is_file = remote.is_http and identify(remote).kind != "zarr"
    stamp = look_at(remote).stamp if is_file else ""
    return hashlib.sha256(f"{remote.url.partition('?')[0]} {stamp}".encode()).hexdigest()
