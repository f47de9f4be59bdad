"""A chunk whose end is missing is refused, whatever lies behind it in memory."""

from __future__ import annotations

import numpy as np
import pytest
from numcodecs.blosc import Blosc
from numcodecs.registry import get_codec

from finewave.io.formats.chunks.whole_blosc import check_lengths


def test_what_follows_in_memory_is_not_read() -> None:
    check_lengths()
    values = np.random.default_rng(0).random(2000)
    chunk = np.frombuffer(Blosc().encode(values), "u1")
    codec = get_codec({"id": "blosc"})
    np.testing.assert_array_equal(np.frombuffer(codec.decode(chunk)), values)
    for length in (len(chunk) - 1, len(chunk) // 2, 16, 15, 0):
        with pytest.raises(RuntimeError, match="ends in the middle"):
            codec.decode(chunk[:length])  # the rest stands right behind
