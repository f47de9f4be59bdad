"""Damped consistency: a result is corrected towards its input only as far as the difference is signal.

The difference X - D R G contains the network's error, the input's noise, and the effect of a wrong blur. Corrected in
full, the noise would enter every band and pixel. So it is weighted like a signal in noise (N. Wiener), ``1 - noise² /
difference²`` where that is positive, from its mean square around each pixel; and no value is changed by more than a
fraction of itself, so that none becomes negative and spectra stay smooth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from finewave.physics.projection import Projection

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_CHANGE = 0.3
"""Of a value, as a part of it."""
CAUTION = 2.0
"""How many times the variance of the noise is counted: both it and the difference's are estimates."""
_WINDOW = 5  # pixels of the input, over which the difference is squared and averaged
_MAD = 1.4826  # of a normal distribution: standard deviation by median absolute deviation


@dataclass(frozen=True)
class DampedProjection:
    """A projection weighted by noise.

    Attributes
    ----------
    projection : Projection
    noise : dict of str to float
        Standard deviation of the noise of each input, the root of the mean square over its bands.
    """

    projection: Projection
    noise: dict[str, float]

    @property
    def kind(self) -> str:
        """What tells its results from those of another projection."""
        return " ".join(f"{name} {noise:.6g}" for name, noise in self.noise.items())

    @property
    def reach(self) -> int:
        """Distance in pixels of the first input up to which a pixel acts on the result."""
        return self.projection.reach + len(self.projection.constraints) * (_WINDOW // 2)

    def __call__(self, image: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return an image (B, C, H, W) nearer to giving back the inputs, which come by name."""
        limit = LARGEST_CHANGE * image.clamp(min=0)
        low, high = image - limit, image + limit  # of all inputs together
        for constraint in self.projection.constraints:
            name = constraint.operator.name
            difference = inputs[name].to(image) - constraint.operator(image)
            change = constraint.correction(wiener_weights(difference, self.noise[name]) * difference)
            image = (image + change).maximum(low).minimum(high)
        return image


def wiener_weights(difference: Tensor, noise: float) -> Tensor:
    """Return the weights (B, 1, h, w), 0 to 1, of a difference (B, c, h, w) that holds noise."""
    from torch.nn import functional as F

    square = difference.square().mean(1, keepdim=True)
    padded = F.pad(square, [_WINDOW // 2] * 4, mode="replicate")
    around = F.avg_pool2d(padded, _WINDOW, 1)
    return (1 - CAUTION * noise**2 / around.clamp(min=1e-12)).clamp(0, 1)


def noise_of(image: Tensor) -> float:
    """Return the standard deviation of an image's noise (c, h, w), as far as details are not taken for it.

    The median absolute response of a filter that no plane and no edge along an axis passes (J. Immerkaer, Computer
    Vision and Image Understanding 64(2), 1996, equation 1), which few details move; texture everywhere is taken for
    noise. NaN is left out.
    """
    import torch
    from torch.nn import functional as F

    if min(image.shape[1:]) < 3:
        return 0.0
    kernel = torch.tensor([[1.0, -2, 1], [-2, 4, -2], [1, -2, 1]]).to(image) / 6
    response = F.conv2d(image[:, None], kernel[None, None])[:, 0].flatten(1).abs()
    median = torch.nanmedian(response, dim=1).values
    known = median[median.isfinite()]
    return float((_MAD * known).square().mean().sqrt()) if known.numel() else 0.0
