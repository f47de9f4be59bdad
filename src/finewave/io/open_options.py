"""Options for opening and saving, common to all formats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BANDS_BY_RESOLUTION = "bands_by_resolution"
"""In the encoding of a scene of which only some bands are open: those of its store, by the side of their pixels."""


@dataclass(frozen=True)
class OpenOptions:
    """Keywords of `finewave.open_scene`; see there."""

    wavelengths: NDArray[np.float64] | None = None
    variable: str | None = None
    scale: float | None = None
    linearise: bool = True
    band_axis: int | None = None
    resolution: float | None = None
    overview: int | None = None
    engine: str | None = None
    orthorectify: bool = False
    mask_clouds: bool = False


@dataclass(frozen=True)
class SaveOptions:
    """Keywords of `finewave.save_scene`; see there."""

    dtype: Any = None
    scale: float | None = None
    nodata: float | None = None
    format_options: dict[str, Any] | None = None
