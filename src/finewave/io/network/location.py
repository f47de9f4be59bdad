"""Location of an input: a local path, or a URL or cloud path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from finewave.errors import InputError

CONNECT_SECONDS = 15
REQUEST_SECONDS = 60
"""Longest wait for an answer, and longest time of a single request."""
RETRIES = 2

_URL = re.compile(r"(https?|s3|gs|az|abfss?|adl|oss):/{1,2}([^/].*)", re.IGNORECASE | re.DOTALL)
_CLOUDS = {"s3": "vsis3", "gs": "vsigs", "az": "vsiaz", "abfs": "vsiaz", "abfss": "vsiaz", "adl": "vsiadls"}
_CLOUDS["oss"] = "vsioss"
_OF_GDAL = {"vsis3": "s3", "vsigs": "gs", "vsiaz": "az", "vsiadls": "abfs", "vsioss": "oss"}
NETWORK_PREFIXES = tuple(
    f"/vsi{each}" for each in ("curl", "s3", "gs", "az", "adls", "oss", "swift", "hdfs", "webhdfs")
)
"""Prefixes of GDAL's network paths."""


@dataclass(frozen=True)
class Remote:
    """A remote file; its text form is the name without secrets.

    Parameters
    ----------
    url : str
        ``https://...``, ``s3://...``, ``gs://...``, ``az://...``, or a GDAL path, ``/vsiswift/...``.
    """

    url: str

    def __str__(self) -> str:
        """Return the URL without user, password, and the values of its query."""
        if self.url.startswith("/vsi"):
            return re.sub(r"(://)[^/@]*@|\?.*", lambda found: found[1] or "?...", self.url)
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path, "", "")) + ("?..." if parts.query else "")

    @property
    def path(self) -> PurePosixPath:
        """The path on its machine."""
        path = self.url if self.url.startswith("/vsi") else urlsplit(self.url).path
        return PurePosixPath(unquote(path.partition("?")[0]))

    @property
    def host(self) -> str:
        """Name or address of its server in small letters; empty for a GDAL path."""
        return (urlsplit(self.url).hostname or "").rstrip(".")

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.path.name or urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def stem(self) -> str:
        """Name without extension."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """Extension with its dot."""
        return self.path.suffix

    @property
    def is_http(self) -> bool:
        """Whether it is reached by HTTP without a cloud's credentials."""
        return self.url.lower().startswith(("http://", "https://"))

    @property
    def gdal_name(self) -> str:
        """GDAL's path for it, with time limits and without requests for sidecar files."""
        if self.url.startswith("/vsi"):
            return self.url
        scheme, _, rest = self.url.partition("://")
        if not self.is_http:
            return f"/{_CLOUDS[scheme.lower()]}/{rest}"
        options = f"max_retry={RETRIES}&retry_delay=1&timeout={REQUEST_SECONDS}&connecttimeout={CONNECT_SECONDS}"
        return f"/vsicurl?{options}&empty_dir=yes&url={quote(self.url, safe='')}"

    def joined(self, relative: str) -> Remote:
        """Resolve a link in this file, never to a local file."""
        from urllib.parse import urljoin

        other = remote_of(relative)
        if other is not None:
            return other
        scheme, separator, rest = self.url.partition("://")
        joined = urljoin(f"http://{rest}", relative) if separator else str(PurePosixPath(self.url).parent / relative)
        return Remote(f"{scheme}://{joined.partition('://')[2]}" if separator else joined)


Location = Path | Remote


def remote_of(name: str | Path | Remote) -> Remote | None:
    """Return the remote file of a URL or cloud path, None for a local path.

    Parameters
    ----------
    name : str, pathlib.Path or Remote
        ``https://``, ``s3://``, ``gs://``, ``az://``, ``abfs://``, ``/vsicurl/https://...``, ``/vsis3/...`` and so on;
        a ``Path`` of one, too, which has one slash where there were two.
    """
    if isinstance(name, Remote):
        return name
    text = str(name).strip()
    if matched := _URL.fullmatch(text):
        url = f"{matched[1].lower()}://{matched[2]}"
        try:
            urlsplit(url)
        except ValueError as error:
            raise InputError(f"{text!r} is not a URL: {error}") from error
        return Remote(url)
    if not text.startswith("/vsi"):
        return None
    prefix, _, rest = text[1:].partition("/")
    if prefix == "vsicurl":
        return remote_of(rest)
    if prefix.startswith("vsicurl?"):
        matched = re.search(r"[?&]url=([^&]*)", text)
        return None if matched is None else remote_of(unquote(matched[1]))
    if prefix in _OF_GDAL and rest:
        return Remote(f"{_OF_GDAL[prefix]}://{rest}")
    return Remote(text) if leads_to_network(text) else None


def location_of(name: str | Path | Remote) -> Location:
    """Return a local path or a remote file; ``file://`` is local."""
    remote = remote_of(name)
    if remote is not None:
        return remote
    text = str(name)
    if re.match(r"file:/", text, re.IGNORECASE):
        return Path(unquote(urlsplit(text).path))
    scheme = re.match(r"([a-z][a-z0-9+.-]+):/", text, re.IGNORECASE)
    if scheme and not Path(text).exists():
        raise InputError(f"{scheme[1]}:// cannot be read; https, s3, gs, az, abfs and oss can: download the file first")
    return Path(name)  # type: ignore[arg-type]  # a Remote has been returned


def leads_to_network(name: object) -> bool:
    """Whether GDAL would open the network for a name."""
    text = str(name)
    return text.startswith(NETWORK_PREFIXES) or (text.startswith("/vsi") and any(p in text for p in NETWORK_PREFIXES))
