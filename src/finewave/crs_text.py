"""CRS that files state: definitions and codes. GDAL would open the name of a file or an address, too."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rasterio.crs import CRS

_AUTHORITY = "(?:EPSG|ESRI|IAU|IAU_2015|IGNF|NKG|NRCAN|OGC|PROJ|CRS|SR-ORG)"
_URN = rf"{_AUTHORITY}:[\w.]*:\w+"
_CODE = re.compile(
    rf"{_AUTHORITY}:(?:\d+:)?\w+(?:\+(?:{_AUTHORITY}:)?\w+)?"  # + a vertical one
    rf"|urn:(?:x-)?ogc:def:crs:{_URN}|urn:ogc:def:crs(?:,crs:{_URN})+",
    re.IGNORECASE,
)
_LINK = re.compile(rf"https?://(?:www\.)?opengis\.net/def/crs/({_AUTHORITY})/[\w.]+/(\w+)/?", re.IGNORECASE)
_WKT_ROOT = re.compile(
    r"(?:GEOGCS|GEOCCS|PROJCS|VERT_CS|COMPD_CS|LOCAL_CS|GEODCRS|GEODETICCRS|GEOGCRS|GEOGRAPHICCRS|PROJCRS|PROJECTEDCRS"
    r"|VERTCRS|VERTICALCRS|COMPOUNDCRS|ENGCRS|ENGINEERINGCRS|BOUNDCRS|DERIVEDPROJCRS|COORDINATEMETADATA)\s*[\[(]",
    re.IGNORECASE,
)
"""Those by which GDAL, too, takes a text for WKT; it takes other words for names of files."""
_WKT_TOKEN = re.compile(
    r"""\s*(?:(?P<open>[A-Za-z_]\w*\s*[\[(])|(?P<close>[\])])|(?P<comma>,)"""
    r"""|"(?:[^"]|"")*"|[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[\d:TZ.+-]+|[A-Za-z_]\w*)\s*"""
)
_WKT_GRIDS = re.compile(r"""\b(?:EXTENSION|PARAMETERFILE)\s*[\[(]\s*"[^"]*"\s*,\s*"[^"]*[/\\][^"]*\"""", re.IGNORECASE)
_WKT_HEIGHTS = re.compile(r",\s*VERTCS\s*\[", re.IGNORECASE)  # after the first node in ESRI's dialect
_DEEPEST = 30
_LONGEST = 2**18
_PROJ = re.compile(r"(?:\+\w+\s+)*(?:\+\w+|proj|init|ellps|datum|units|zone)=[^/\\]*", re.IGNORECASE)
"""Flags such as ``+no_defs`` may come first."""
_FILES = re.compile(r"\b(?:file|grids|model|catalog|xyz_grids)=", re.IGNORECASE)
_INIT = re.compile(rf"\binit=(?!{_AUTHORITY}:\w+)", re.IGNORECASE)
_NAME = re.compile(r"[\w .,'+()-]+(?: / [\w .,'+()-]+)*")
_TIGHT_NAME = re.compile(r"[A-Z][\w ,'+()-]*[\w)](?: ?/ ?[A-Z][\w .,'+()-]*)+")
"""A name without blanks around its slashes; it may look like a path, so that they are put there before it is used."""


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
    text = value.strip().rstrip("\0 ")  # a text in C ends with a zero
    link = _LINK.fullmatch(text)
    if link is not None:
        return f"{link[1].upper()}:{link[2]}"
    if len(text) <= _LONGEST and (_is_json(text) or _is_wkt(text) or _CODE.fullmatch(text)):
        return text
    if len(text) <= _LONGEST and _PROJ.fullmatch(text) and not (_INIT.search(text) or _FILES.search(text)):
        return text
    if len(text) < 100 and _NAME.fullmatch(text) and not Path(text).exists():
        return text
    if len(text) < 100 and _TIGHT_NAME.fullmatch(text):
        spaced = re.sub(r" ?/ ?", " / ", text)
        if not (Path(text).exists() or Path(spaced).exists()):
            return spaced
    from rasterio.errors import CRSError

    raise CRSError(f"{text[:60]!r} does not define a CRS; WKT, PROJJSON or a code such as EPSG:32632 is accepted")


def parse_crs(value: Any) -> CRS:
    """Return a CRS of what a file or a user states, see `crs_definition`.

    Parameters
    ----------
    value : object
        Texts as for `crs_definition`, or anything else that rasterio takes.

    Raises
    ------
    rasterio.errors.CRSError
        It does not define a CRS.
    """
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    definition = crs_definition(value)
    try:
        return CRS.from_user_input(definition)
    except CRSError:
        if importlib.util.find_spec("pyproj") is None:
            raise
    import pyproj  # it reads more forms

    try:
        return CRS.from_wkt(pyproj.CRS.from_user_input(definition).to_wkt())
    except pyproj.exceptions.CRSError as error:
        raise CRSError(str(error)) from error


def _is_wkt(text: str) -> bool:
    """Return whether a text is WKT to its end, one node: words, numbers and quoted texts, no path to a grid."""
    if not _WKT_ROOT.match(text) or _WKT_GRIDS.search(text):
        return False
    at = depth = 0
    while at < len(text):
        token = _WKT_TOKEN.match(text, at)
        if token is None:
            return False
        at = token.end()
        depth += (token["open"] is not None) - (token["close"] is not None)
        if depth == 0 and (heights := _WKT_HEIGHTS.match(text, at)):
            at, depth = heights.end(), 1
        if depth > _DEEPEST or (depth < 1 and at < len(text)):
            return False
    return depth == 0


def _is_json(text: str) -> bool:
    if not text.startswith("{"):
        return False
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
