"""Remote Zarr stores through fsspec: chunks are downloaded on demand and cached."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.containers.array_file import open_image
from finewave.io.formats.containers.datasets import open_groups
from finewave.io.formats.containers.eopf_layout import GROUP
from finewave.io.formats.zarr_store import arrays_of, groups_of
from finewave.io.network.filesystems import storage_options
from finewave.io.network.http import look_at
from finewave.io.network.location import Remote
from finewave.io.open_options import OpenOptions
from finewave.io.products import eopf

if TYPE_CHECKING:
    import xarray as xr

_KEPT_BYTES = 2**28
_SIGNS = ("zarr.json", ".zmetadata", ".zgroup", ".zarray")


def open_store(remote: Remote, options: OpenOptions) -> xr.DataArray:
    """Open a store.

    Parameters
    ----------
    remote : Remote
        Its folder.
    options : OpenOptions
        What the user stated.

    Returns
    -------
    xarray.DataArray
        The scene, lazy.

    Raises
    ------
    InputError
        There is no store, its groups cannot be listed, or the package for its scheme is not installed.
    """
    shown = str(remote)
    if "?" in remote.url:
        raise InputError(f"cannot read {shown}: the URL of a Zarr store, which has many files, can have no query")
    keywords = storage_options(remote)
    if remote.is_http:
        _check_there(remote)
    with reading(shown, "Zarr store"):
        store = _remembering(remote, keywords)
        named, stored, attrs = arrays_of(store)
    if not stored:
        raise InputError(
            f"{shown} lists no arrays: a store that is read by its URL needs consolidated metadata "
            "(zarr.consolidate_metadata)"
        )
    is_product = any(name.startswith(f"{GROUP}/") for name in stored)
    if options.resolution is not None and not is_product:
        raise InputError(f"resolution= (--resolution) has no meaning for {shown}, a Zarr store has one")
    if not named:
        return open_image(stored, shown, "Zarr store", options, default_band_axis=None, file_attrs=attrs)
    if is_product:
        return eopf.open_groups_of(lambda: groups_of(store), PurePosixPath(shown), options)
    return open_groups(lambda: groups_of(store), shown, "Zarr store", options)


def _check_there(remote: Remote) -> None:
    """Request the metadata of a store, to distinguish a wrong URL from a damaged store."""
    refusal: InputError | None = None
    for name in _SIGNS:
        try:
            look_at(Remote(_with_name(remote.url, name)))
        except InputError as error:
            if "(404)" not in str(error):
                raise InputError(str(error).replace(f"/{name}", "", 1)) from error
            refusal = error
        else:
            return
    raise InputError(f"cannot read {remote}: there is no Zarr store (404)") from refusal


def _with_name(url: str, name: str) -> str:
    path, mark, query = url.partition("?")
    return f"{path.rstrip('/')}/{name}{mark}{query}"


def _remembering(remote: Remote, keywords: dict[str, Any]) -> Any:
    """Return a store that fetches no chunk twice while it is among the last ones."""
    from zarr.storage import FsspecStore, WrapperStore

    from finewave.io.formats.chunks.checked_chunks import CheckedStore

    class Remembering(WrapperStore[FsspecStore]):  # made here: zarr is imported when it is used
        kept: OrderedDict[str, Any]
        size: int

        async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
            name = f"{key} {byte_range}"
            if name in self.kept:
                self.kept.move_to_end(name)
                return self.kept[name]
            value = await super().get(key, prototype, byte_range)
            if name not in self.kept:  # another reader may have fetched it meanwhile
                self.kept[name] = value
                self.size += 0 if value is None else len(value)
            while self.size > _KEPT_BYTES and len(self.kept) > 1:
                _, old = self.kept.popitem(last=False)
                self.size -= 0 if old is None else len(old)
            return value

    store = Remembering(FsspecStore.from_url(remote.url, storage_options=keywords, read_only=True))
    store.kept, store.size = OrderedDict(), 0
    return CheckedStore(store, str(remote))
