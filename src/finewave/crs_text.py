"""CRS that files state: definitions and codes. GDAL would open the name of a file or an address, too."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

_AUTHORITY = "(?:EPSG|ESRI|IAU|IAU_2015|IGNF|NKG|NRCAN|OGC|PROJ|CRS|SR-ORG)"
_URN = rf"{_AUTHORITY}:[\w.]*:\w+"
_CODE = re.compile(
    rf"{_AUTHORITY}:(?:\d+:)?\w+(?:\+(?:{_AUTHORITY}:)?\w+)?"  # + a vertical one
    rf"|urn:(?:x-)?ogc:def:crs:{_URN}|urn:ogc:def:crs(?:,crs:{_URN})+",
    re.IGNORECASE,
)
_LINK = re.compile(rf"https?://(?:www\.)?opengis\.net/def/crs/({_AUTHORITY})/[\w.]+/(\w+)/?", re.IGNORECASE)
_WKT = re.compile(r"\w+\s*[\[(]")
_PROJ = re.compile(r"(?:\+\w+|proj|init|ellps|datum|units|zone)=[^/\\]*", re.IGNORECASE)
_INIT = re.compile(rf"\binit=(?!{_AUTHORITY}:\w+)", re.IGNORECASE)
_NAME = re.compile(r"[\w +()-]+(?: / [\w +()-]+)?")


def crs_definition(value: Any) -> Any:
    """Return what a file states as its CRS, for rasterio.

    Parameters
    ----------
    value : object
        Texts may be WKT, PROJJSON, PROJ's parameters without paths, a code or its link, or a name. Anything but a text
        is returned as it is.

    Raises
    ------
    rasterio.errors.CRSError
        A text is none of these.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, dict):
        value = json.dumps(value)
    if not isinstance(value, str):
        return value
    text = value.strip()
    link = _LINK.fullmatch(text)
    if link is not None:
        return f"{link[1].upper()}:{link[2]}"
    if text.startswith("{") or _WKT.match(text) or _CODE.fullmatch(text):
        return text
    if _PROJ.fullmatch(text) and not _INIT.search(text):
        return text
    if len(text) < 100 and _NAME.fullmatch(text) and not Path(text).exists():
        return text
    from rasterio.errors import CRSError

    raise CRSError(f"{text[:60]!r} does not define a CRS; WKT, PROJJSON or a code such as EPSG:32632 is accepted")
