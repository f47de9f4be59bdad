"""File systems of fsspec, one package per scheme, imported on use."""

from __future__ import annotations

from typing import Any

from finewave.errors import InputError
from finewave.extras import check_extra
from finewave.io.network import location
from finewave.io.network.location import Remote

_PACKAGES = {
    "http": "aiohttp",
    "https": "aiohttp",
    "s3": "s3fs",
    "gs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "adl": "adlfs",
    "oss": "ossfs",
}


def storage_options(remote: Remote) -> dict[str, Any]:
    """Return options for fsspec that bound its waits.

    Raises
    ------
    InputError
        The package that the scheme needs is not installed.
    """
    import importlib.util

    scheme = remote.url.partition("://")[0]
    package = _PACKAGES.get(scheme)
    if package is None:
        raise InputError(f"cannot read {remote}: no file system of fsspec is known for it")
    check_extra("remote", str(remote))
    if importlib.util.find_spec(package) is None:
        raise InputError(f"{remote} needs the package {package}, which is not installed: pip install {package}")
    if package != "aiohttp":
        return {}
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=location.REQUEST_SECONDS, sock_connect=location.CONNECT_SECONDS)
    return {"client_kwargs": {"timeout": timeout, "trust_env": True}}


def read_bytes(remote: Remote, most: int) -> bytes:
    """Return a complete file up to a maximum size.

    Raises
    ------
    InputError
        It cannot be reached, or is larger.
    """
    import fsspec

    with fsspec.open(remote.url, "rb", **storage_options(remote)) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise InputError(f"cannot read {remote}: it has more than {most / 2**20:.0f} MB; download it first")
    return bytes(content)
