"""Damped consistency: a result is corrected towards its input only as far as the difference is signal.

The difference X - D R G contains the network's error, the input's noise, and the effect of a wrong blur. Corrected in
full, noise and blur would enter every band and pixel. So it is weighted like a signal in noise (N. Wiener), ``1 -
(noise² + doubt²) / difference²`` where that is positive, from mean squares around each pixel. A blur whose variance
differs by V changes an image X by ``V / 2`` times its Laplacian (a Gaussian blur is the heat equation): that is the
doubt, large at edges and zero where X is flat.

Values stay physical: none is changed by more than a fraction of itself, none is raised above the inputs around it, and
none is negative unless an input is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from finewave.physics.inversion.projection import Projection

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
    """A projection weighted by noise and by the doubt about the blur.

    Attributes
    ----------
    projection : Projection
    noise : dict of str to float
        Standard deviation of the noise of each input, the root of the mean square over its bands.
    doubt : dict of str to float
        Of each input, by how much the variance of its blur may be wrong, in its pixels squared; none for 0.
    """

    projection: Projection
    noise: dict[str, float]
    doubt: dict[str, float] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What tells its results from those of another projection."""
        blurs = {
            each.operator.name: "" if each.operator.observation is None else f" {each.operator.observation.options}"
            for each in self.projection.constraints
        }
        return " ".join(
            f"{name} {noise:.6g} {self.doubt.get(name, 0):.6g}{blurs[name]}" for name, noise in self.noise.items()
        )

    @property
    def reach(self) -> int:
        """Distance in pixels of the first input up to which a pixel acts on the result."""
        return self.projection.reach + len(self.projection.constraints) * (_WINDOW // 2)

    def __call__(self, image: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return an image (B, C, H, W) nearer to giving back the inputs, which come by name."""
        limit = LARGEST_CHANGE * image.clamp(min=0)
        lowest, highest = self._range(image, inputs)
        low, high = (image - limit).maximum(lowest), (image + limit).minimum(highest)  # of all inputs together
        for constraint in self.projection.constraints:
            name = constraint.operator.name
            observed = inputs[name].to(image)
            difference = observed - constraint.operator(image)
            weights = wiener_weights(difference, self.noise[name], observed, self.doubt.get(name, 0.0))
            image = (image + constraint.correction(weights * difference)).minimum(high).maximum(low)
        return image

    def _range(self, image: Tensor, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the least and the largest value (B, 1 or C, H, W) that the inputs allow.

        Negative values are allowed as far as an input has some around the pixel; values above all that the inputs have
        around it, as far as the image had them.
        """
        import torch

        lowest, highest = torch.zeros_like(image[:, :1]), image
        for constraint in self.projection.constraints:
            observed = inputs[constraint.operator.name].to(image)
            ratio = image.shape[-1] // observed.shape[-1]
            least, largest = -_largest(-observed), _largest(observed)
            lowest = lowest.minimum(_repeated(least, ratio))
            highest = highest.maximum(_repeated(largest, ratio))
        return lowest, highest


def wiener_weights(difference: Tensor, noise: float, observed: Tensor | None = None, doubt: float = 0.0) -> Tensor:
    """Return the weights (B, 1, h, w), 0 to 1, of a difference (B, c, h, w).

    Parameters
    ----------
    difference : Tensor (B, c, h, w)
        It holds noise and the effect of a wrong blur.
    noise : float
        Standard deviation.
    observed : Tensor (B, c, h, w), optional
        The image that is blurred.
    doubt : float
        By how much the variance of its blur may be wrong, in its pixels squared.
    """
    unwanted: float | Tensor = CAUTION * noise**2
    if observed is not None and doubt:
        unwanted = unwanted + _around((doubt / 2 * laplacian(observed)).square())
    return (1 - unwanted / _around(difference.square()).clamp(min=1e-12)).clamp(0, 1)


def laplacian(image: Tensor) -> Tensor:
    """Return the sum of the second differences of an image (B, c, h, w) along both axes, its border repeated."""
    from torch.nn import functional as F

    padded = F.pad(image, [1] * 4, mode="replicate")
    beside = padded[..., 1:-1, 2:] + padded[..., 1:-1, :-2] + padded[..., 2:, 1:-1] + padded[..., :-2, 1:-1]
    return beside - 4 * image


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


def _around(square: Tensor) -> Tensor:
    """Return the mean (B, 1, h, w) over the bands and the window around each pixel."""
    from torch.nn import functional as F

    mean = square.mean(1, keepdim=True)
    return F.avg_pool2d(F.pad(mean, [_WINDOW // 2] * 4, mode="replicate"), _WINDOW, 1)


def _largest(image: Tensor) -> Tensor:
    """Return the largest value (B, 1, h, w) of all bands in the 3 x 3 pixels around each."""
    from torch.nn import functional as F

    return F.max_pool2d(image.amax(1, keepdim=True), 3, 1, padding=1)


def _repeated(image: Tensor, times: int) -> Tensor:
    return image if times == 1 else image.repeat_interleave(times, -2).repeat_interleave(times, -1)
