"""The observation model as used by methods that invert it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from finewave.errors import InputError, unknown_name
from finewave.physics.blur_options import BLUR
from finewave.physics.degradation import ANISOTROPIC, degrade, gaussian_width, kernel_taps

RANDOM = ("noise", "clip", "seed", "scale")


class Observation:
    """Blur and decimation by ``scale`` as `degrade` does it, without its noise.

    Parameters
    ----------
    scale : int
        s >= 2.
    degradation : mapping, optional
        Keyword arguments of `degrade`, as in cards; noise and clipping are ignored.
    owner : str
        For messages.

    Raises
    ------
    InputError
        A ``ValueError``, if the scale is out of range, or an argument is unknown to `degrade` or has an invalid value.
    """

    def __init__(self, scale: int, degradation: Mapping[str, Any] | None, owner: str) -> None:
        if scale < 2:
            raise InputError(f"{owner}: {scale=} is out of range; it must be an integer >= 2")
        options = {} if degradation is None else degradation
        if not isinstance(options, Mapping):
            raise InputError(f"{owner}: degradation={options!r} is not a mapping of arguments of degrade to values")
        for key in options:
            if key not in BLUR + RANDOM:
                raise unknown_name(f"key of the degradation of {owner}", key, BLUR)
        self.scale = scale
        self.options = {key: value for key, value in options.items() if key in BLUR}
        self.reach  # noqa: B018 - raises for an unknown kernel now, not at the first image

    @property
    def reach(self) -> int:
        """Largest distance in LR pixels at which an HR pixel influences an LR pixel."""
        kernel = self.options.get("kernel", "gaussian")
        if kernel != ANISOTROPIC:
            width = gaussian_width(kernel, self.scale, self.options.get("fwhm"), self.options.get("mtf"))
            taps = len(kernel_taps(kernel, self.scale, width))
        else:
            taps = self.options.get("size", 13) + 4
        return -(-taps // (2 * self.scale))

    def __call__(self, image: Tensor) -> Tensor:
        """Observe an image (..., H, W)."""
        return degrade(image, self.scale, **self.options)
