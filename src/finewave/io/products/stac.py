"""STAC items, versions 1.0 and 1.1: bands among the assets, with names, wavelengths and scale.

After the specification of items and its extensions ``eo``, ``raster`` and ``proj``: bands are in ``eo:bands`` and
``raster:bands`` in 1.0, in ``bands`` in 1.1.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from finewave.acquisition import date_attribute, stated_date
from finewave.band_names import colour_of
from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.band_files import open_bands, read_header
from finewave.io.formats.gdal.raster import open_raster
from finewave.io.formats.gdal_raster import open_file as open_raster_file
from finewave.io.network.location import Location, Remote, remote_of
from finewave.io.open_options import OpenOptions
from finewave.physics.sensors.satellites import nominal_bands, satellite_names
from finewave.text.stated_numbers import mapping_in, number_in
from finewave.warnings import FinewaveWarning

_LARGEST = 2**26
_MOST_LISTED = 50
_PLAIN = re.compile(r"/vsi(?:zip|tar|gzip|swift)/(?!.*/vsi).*", re.DOTALL)
"""In an archive of this machine, or in a cloud; other paths of GDAL lead to servers whose names no check sees."""
_RASTERS = (".tif", ".tiff", ".jp2", ".j2k", ".vrt", ".ntf", ".img", ".hdr")
_NO_BANDS = frozenset(("thumbnail", "overview", "visual", "metadata", "data-mask", "cloud", "cloud-shadow", "snow-ice"))
_NO_REFLECTANCE = re.compile(r"lwir|thermal|pan$|rededge-pan", re.IGNORECASE)


@dataclass(frozen=True)
class AssetBand:
    """A band of an asset.

    Attributes
    ----------
    name, colour : str or None
        Name and common name in the item: ``B02``; ``blue``.
    wavelength, fwhm : float or None
        In nm.
    scale, offset, nodata : float or None
        Of the stored numbers.
    """

    name: str | None = None
    colour: str | None = None
    wavelength: float | None = None
    fwhm: float | None = None
    scale: float | None = None
    offset: float | None = None
    nodata: float | None = None


@dataclass(frozen=True)
class Asset:
    """A raster that an item leads to."""

    key: str
    href: str
    media_type: str
    roles: tuple[str, ...]
    bands: tuple[AssetBand, ...]

    @property
    def is_optical(self) -> bool:
        """Return whether the item states the wavelengths of its bands."""
        return bool(self.bands) and all(each.colour or each.wavelength for each in self.bands)

    def is_called(self, name: str) -> bool:
        """Whether the asset, or its only band, has a name."""
        names = [self.key, *([self.bands[0].name, self.bands[0].colour] if len(self.bands) == 1 else [])]
        return name.casefold() in [each.casefold() for each in names if each]


def matches(path: Path) -> bool:
    """Return whether a path is a JSON file of STAC."""
    if not path.is_file() or path.stat().st_size > _LARGEST:
        return False
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError:  # of text that is not UTF-8, too
        return False
    return isinstance(document, dict) and "stac_version" in document


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open the bands of an item.

    Parameters
    ----------
    path : pathlib.Path
        Its JSON file.
    options : OpenOptions
        What the user stated; ``variable`` chooses assets by their keys or the names of their bands, with commas between
        them, ``resolution`` the grid.
    """
    with reading(path, "STAC item"):
        item = json.loads(path.read_text(encoding="utf-8-sig"))
    return open_item(item, path, options)


def open_item(item: Any, base: Location, options: OpenOptions) -> xr.DataArray:
    """Open the bands of an item that has been read.

    Parameters
    ----------
    item : dict
        As of JSON.
    base : pathlib.Path or Remote
        Its location, base of relative links. Links of remote items never refer to local files.
    options : OpenOptions
        See `open_file`.

    Returns
    -------
    xarray.DataArray
        Bands in separate files on one grid, or one asset with all bands.

    Raises
    ------
    InputError
        It is not an item, or has no bands that can be read.

    Warns
    -----
    FinewaveWarning
        The item states an offset and that it has been applied.
    """
    _check_item(item, base)
    with reading(str(base), "STAC item"):
        found = [_asset(key, each, base) for key, each in item["assets"].items() if isinstance(each, dict)]
        properties = mapping_in(item.get("properties"), f"{base}: properties")
    selected = _chosen([each for each in found if each is not None], base, options)
    sensor = re.sub(r"[^a-z0-9]", "", str(properties.get("platform") or "").lower())
    # an item that does not know it may have the time of its own making there
    is_own = properties.get("datetime") is not None and properties["datetime"] == properties.get("created")
    attrs = {
        "product": str(item.get("id", "")),
        **({"sensor": sensor} if sensor else {}),
        **({} if is_own else date_attribute(stated_date(properties))),
    }
    applied = properties.get("earthsearch:boa_offset_applied") is True
    if applied and any(band.offset for each in selected for band in each.bands):
        warnings.warn(
            f"{base}: the item states an offset and that it has been applied (earthsearch:boa_offset_applied); it is "
            "not applied again; full_scale= states another scale",
            FinewaveWarning,
            stacklevel=4,
        )
    if len(selected) == 1 and len(selected[0].bands) != 1:
        return _open_one(selected[0], base, options, attrs, applied)
    return _open_bands(selected, base, options, attrs, applied)


def _check_item(item: Any, base: Location) -> None:
    kind = item.get("type") if isinstance(item, dict) else None
    if kind in ("Catalog", "Collection", "FeatureCollection"):
        raise InputError(f"{base} is a STAC {kind.lower()}, which holds many scenes; name one of its items")
    if kind != "Feature" or not isinstance(item.get("assets"), dict):
        raise InputError(f"{base} is not a STAC item: it has no assets")


def _asset(key: str, entry: Mapping[str, Any], base: Location) -> Asset | None:
    """Return an asset that GDAL may read, None of any other."""
    href, media = str(entry.get("href") or ""), str(entry.get("type") or "")
    suffix = (remote_of(href) or Path(href)).suffix.lower()
    if not href or not (media.startswith(("image/tiff", "image/jp2", "image/vnd.stac.geotiff")) or suffix in _RASTERS):
        return None
    of_eye, of_numbers = entry.get("eo:bands"), entry.get("raster:bands")
    bands = entry.get("bands")
    count = max((len(each) for each in (of_eye, of_numbers, bands) if isinstance(each, list)), default=0)
    merged = []
    for index in range(count):
        band: dict[str, Any] = {
            name: entry[name] for name in ("nodata", "raster:scale", "raster:offset") if name in entry
        }
        for listed in (of_eye, of_numbers, bands):
            if isinstance(listed, list) and index < len(listed) and isinstance(listed[index], dict):
                band |= listed[index]
        merged.append(_band(band, f"{base}: asset {key}"))
    roles = entry.get("roles")
    return Asset(key, href, media, tuple(map(str, roles)) if isinstance(roles, list) else (), tuple(merged))


def _band(entry: Mapping[str, Any], what: str) -> AssetBand:
    def number(*names: str, times: float = 1.0) -> float | None:
        name = next((name for name in names if entry.get(name) is not None), None)
        if name is None:
            return None
        if name == "nodata" and str(entry[name]).lower() in ("nan", "inf", "-inf"):
            return float(entry[name])
        return round(number_in(entry[name], f"{what}: {name}") * times, 9)

    colour = entry.get("eo:common_name") or entry.get("common_name")
    return AssetBand(
        None if entry.get("name") is None else str(entry["name"]),
        None if colour is None else str(colour),
        number("eo:center_wavelength", "center_wavelength", times=1000),  # µm
        number("eo:full_width_half_max", "full_width_half_max", times=1000),
        number("raster:scale", "scale"),
        number("raster:offset", "offset"),
        number("nodata"),
    )


def _chosen(found: list[Asset], base: Location, options: OpenOptions) -> list[Asset]:
    """Choose the requested assets, or all reflectance bands; of two assets of one band the TIFF."""
    if options.variable is not None:
        names = [name.strip() for name in options.variable.split(",") if name.strip()]
        return [_called(name, found, base) for name in names or [options.variable]]
    images = [
        each
        for each in found
        if not _NO_BANDS.intersection(each.roles) and each.key.lower() not in ("visual", "thumbnail", "tci", "preview")
    ]
    optical = [each for each in images if each.is_optical]
    single = [
        each for each in optical if len(each.bands) == 1 and not _NO_REFLECTANCE.search(each.bands[0].colour or "")
    ]
    by_band: dict[tuple[Any, ...], Asset] = {}
    for each in sorted(single, key=lambda asset: "jp2" in asset.media_type):
        band = each.bands[0]
        by_band.setdefault((band.name, band.colour, band.wavelength), each)
    if by_band:
        return sorted(by_band.values(), key=found.index)
    if coloured := [each for each in images if len(each.bands) < 2 and colour_of(each.key) is not None]:
        return coloured
    several = [each for each in optical if len(each.bands) > 1] or [each for each in images if "data" in each.roles]
    several = several or images
    if len(several) == 1:
        return several
    known = _listed(found)
    why = f"has {len(several)} assets that could be the image" if several else "has no asset that is a raster"
    raise InputError(f"{base} {why}; choose with variable= (--variable), one or several with commas: {known}")


def _listed(found: list[Asset]) -> str:
    more = f" and {len(found) - _MOST_LISTED} more" if len(found) > _MOST_LISTED else ""
    return f"{', '.join(each.key for each in found[:_MOST_LISTED])}{more}" or "none"


def _called(name: str, found: list[Asset], base: Location) -> Asset:
    matching = [each for each in found if each.is_called(name)]
    matching = [each for each in matching if each.key == name] or sorted(matching, key=lambda a: "jp2" in a.media_type)
    if not matching:
        known = _listed(found)
        raise InputError(f"{base} has no raster called {name!r}; choose with variable= (--variable), of: {known}")
    return matching[0]


def _source(asset: Asset, base: Location) -> Location:
    """Return the location of an asset."""
    remote = remote_of(asset.href)
    if (asset.href if remote is None else remote.url).startswith("/vsi") and not _PLAIN.fullmatch(asset.href):
        raise InputError(f"{base} leads elsewhere with its asset {asset.key}: {asset.href[:80]} is not opened")
    if remote is None and isinstance(base, Remote):
        if re.match(r"(file:|/vsi)", asset.href, re.IGNORECASE):
            raise InputError(f"{base} leads to a file of this machine with its asset {asset.key}, which is not opened")
        remote = base.joined(asset.href)
    if remote is not None:
        if remote.suffix.lower() == ".vrt":  # which could lead to files of this machine
            raise InputError(f"{base}: its asset {asset.key} is a virtual raster, not read where it lies: download it")
        _check_address(remote, base, asset)
        return remote
    href = re.sub(r"^file:(//)?", "", asset.href, flags=re.IGNORECASE)
    assert not isinstance(base, Remote)  # whose assets are remote
    file = base.parent / href
    if not file.exists() and not href.startswith("/vsi"):
        raise InputError(f"{base} leads to {file} with its asset {asset.key}, which is missing; put it there")
    return file


def _check_address(remote: Remote, base: Location, asset: Asset) -> None:
    """Refuse an asset at an address of this machine, or of its cloud, that somebody else's item names.

    Requests to them are those of a user of this machine; an item that lies on the same server may lead to it.
    """
    host = remote.host
    if isinstance(base, Remote) and base.host == host:
        return
    address = _address(host)
    near = address is not None and address.is_link_local
    if isinstance(base, Remote):
        near = near or (address is not None and not address.is_global) or f".{host}".endswith(".localhost")
    if near:
        raise InputError(
            f"{base} leads to {host}, an address of this machine or its network, with its asset {asset.key}"
        )


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a host is; None for names. One number, or fewer than four, is an address, too."""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        try:
            found = ipaddress.ip_address(socket.inet_aton(host))
        except (OSError, ValueError):
            return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _open_bands(
    selected: list[Asset], base: Location, options: OpenOptions, attrs: dict[str, Any], applied: bool
) -> xr.DataArray:
    sources = [_source(each, base) for each in selected]
    headers = [read_header(each.gdal_name if isinstance(each, Remote) else each) for each in sources]
    bands = [each.bands[0] if each.bands else AssetBand(each.key) for each in selected]
    factors = [header.scale if band.scale is None else band.scale for band, header in zip(bands, headers, strict=True)]
    offsets = [
        header.offset if band.offset is None or applied else band.offset
        for band, header in zip(bands, headers, strict=True)
    ]
    stated = any(band.scale is not None for band in bands) or any(offsets)
    nodata = {band.nodata for band in bands}
    common = nodata.pop() if len(nodata) == 1 else None
    return open_bands(
        headers,
        base if isinstance(base, Path) else str(base),
        options,
        scale_factor=_one(factors) if stated else None,
        offset=_one(offsets) if stated else None,
        nodata=common,
        attrs=attrs,
        **_described(bands, [each.key for each in selected], attrs.get("sensor", "")),
    )


def _one(values: list[float]) -> float | tuple[float, ...]:
    return values[0] if len(set(values)) == 1 else tuple(values)


def _described(bands: list[AssetBand], keys: list[str], sensor: str) -> dict[str, Any]:
    """Return names, centres and widths: those of the item, or those of a sensor identified by its band names."""
    names = [band.name or band.colour or key for band, key in zip(bands, keys, strict=True)]
    plain = [re.sub(r"^B0", "B", name) for name in names]
    known = nominal_bands(sensor) if sensor in satellite_names() else {}
    centres = [band.wavelength or known.get(name, (None,))[0] for band, name in zip(bands, plain, strict=True)]
    widths = [band.fwhm or known.get(name, (None, None))[1] for band, name in zip(bands, plain, strict=True)]
    colours = [band.colour for band in bands]
    if None in centres and None not in colours:
        names = [str(each) for each in colours]
    return {
        "band_names": names,
        "wavelengths": None if None in centres else centres,
        "fwhm": None if None in centres or None in widths else widths,
    }


def _open_one(asset: Asset, base: Location, options: OpenOptions, attrs: dict[str, Any], applied: bool) -> xr.DataArray:
    """Open an asset with all bands."""
    place = _source(asset, base)
    shown: Path | str = place if isinstance(place, Path) else str(place)
    source = None if isinstance(place, Path) else place.gdal_name
    bands = list(asset.bands)
    options = OpenOptions(**{**vars(options), "variable": None})
    if not bands:
        return open_raster_file(shown, options, source)
    factors, offsets = [band.scale for band in bands], [0.0 if applied else band.offset for band in bands]
    stated = None
    if None not in factors:
        stated = (
            _one([float(each or 1) for each in factors]),
            None if all(each is None for each in offsets) else _one([float(each or 0) for each in offsets]),
        )
    return open_raster(
        shown,
        "STAC asset",
        options,
        source=source,
        stated=stated,
        special=tuple({band.nodata for band in bands if band.nodata is not None}),
        attrs=attrs,
        **_described(bands, [f"{asset.key} {i}" for i in range(1, len(bands) + 1)], attrs.get("sensor", "")),
    )
