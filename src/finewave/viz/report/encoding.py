"""Pictures and numbers as text inside a page, within a number of bytes."""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

QUALITIES = (90, 80, 65, 45, 25)
"""Of WebP, tried in turn."""


def encode_pictures(pictures: Sequence[np.ndarray], most: int) -> list[str]:
    """Return pictures as WebP in ``data:`` URLs of at most ``most`` bytes in total.

    Parameters
    ----------
    pictures : sequence of uint8 ndarray (h, w) or (h, w, 3)
    most : int
        The quality is lowered, then the resolution halved, until they fit.
    """
    if not pictures:
        return []
    from PIL import Image

    images = [Image.fromarray(picture) for picture in pictures]
    while True:
        for quality in QUALITIES:
            texts = []
            for image in images:
                texts.append(_webp(image, quality))
                if sum(map(len, texts)) > most:
                    break
            else:
                return texts
        if max(max(image.size) for image in images) == 1:
            return texts  # cannot be smaller
        images = [image.resize([max(1, side // 2) for side in image.size], Image.Resampling.BOX) for image in images]


def encode_map(values: np.ndarray, limit: float, colours: np.ndarray, most: int) -> str:
    """Return a map as a PNG in a ``data:`` URL: 0 has the first of 256 colours, ``limit`` the last.

    Parameters
    ----------
    values : ndarray (h, w)
        NaN is transparent.
    limit : float
    colours : uint8 ndarray (256, 3)
    most : int
        Bytes; the resolution is halved until the map fits.
    """
    from PIL import Image

    # the last index is reserved for missing values
    index = np.where(np.isfinite(values), np.clip(np.nan_to_num(values) / limit, 0, 1) * 254, 255)
    index = np.rint(index).astype(np.uint8)
    while True:
        paletted = Image.frombytes("P", (index.shape[1], index.shape[0]), np.ascontiguousarray(index).tobytes())
        paletted.putpalette(colours.reshape(-1).tolist())
        buffer = io.BytesIO()
        paletted.save(buffer, "PNG", optimize=True, transparency=255)
        text = _address("image/png", buffer.getvalue())
        if len(text) <= most or max(index.shape) == 1:
            return text
        index = index[::2, ::2]


def encode_spectra(values: np.ndarray) -> dict[str, object]:
    """Return spectra as steps of 1/65534 of their range, compressed, for a page's script to unpack.

    Parameters
    ----------
    values : float ndarray (C, h, w)
        NaN marks missing values.

    Returns
    -------
    dict
        ``shape``, ``low`` and ``high`` of the range, ``data``: base64 of deflated bytes. They are the low bytes, then
        the high bytes, of each band's difference from the band before, modulo 65536; 65535 marks missing values.
    """
    there = np.isfinite(values)
    low, high = (float(values[there].min()), float(values[there].max())) if there.any() else (0.0, 1.0)
    span = (high - low) or 1.0
    steps = np.where(there, np.rint((np.nan_to_num(values) - low) / span * 65534), 65535).astype(np.uint16)
    change = np.diff(steps, axis=0, prepend=np.zeros_like(steps[:1])).astype("<u2")
    split = change.reshape(-1).view(np.uint8).reshape(-1, 2).T
    data = base64.b64encode(zlib.compress(np.ascontiguousarray(split).tobytes(), 9)).decode()
    return {"shape": list(values.shape), "low": low, "high": low + span, "data": data}


def _webp(image: Image.Image, quality: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=4)
    return _address("image/webp", buffer.getvalue())


def _address(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
