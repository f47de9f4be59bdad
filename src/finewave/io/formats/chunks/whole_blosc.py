"""Blosc codec that detects truncated chunks.

numcodecs passes a chunk to the Blosc library without its length, so for a truncated chunk it reads beyond the buffer:
usually an error, but sometimes arbitrary values.
"""

from __future__ import annotations

from functools import cache
from typing import Any

_HEADER = 16  # bytes; the last four are the length of header and data


@cache
def check_lengths() -> None:
    """Have every Blosc chunk of a Zarr store of version 2 that this process opens from now on checked."""
    from numcodecs.blosc import Blosc
    from numcodecs.compat import ensure_contiguous_ndarray
    from numcodecs.registry import register_codec

    class WholeBlosc(Blosc):
        codec_id = "blosc"

        def decode(self, buf: Any, out: Any = None) -> Any:
            data = ensure_contiguous_ndarray(buf).view("u1")
            if data.nbytes < _HEADER or int.from_bytes(data[12:_HEADER].tobytes(), "little") > data.nbytes:
                raise RuntimeError("a chunk ends in the middle")
            return super().decode(buf, out)

    register_codec(WholeBlosc)
