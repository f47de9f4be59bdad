"""Projection of a result on the images consistent with its inputs, {G : D R G = X}."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.physics.inversion.forward_operator import ForwardOperator
from finewave.physics.inversion.pseudo_inverse import PseudoInverse

if TYPE_CHECKING:
    from torch import Tensor

_SMALLEST_SINGULAR = 1e-4


@dataclass(frozen=True)
class Constraint:
    """The images of which one input is the observation.

    Attributes
    ----------
    operator : ForwardOperator
        D and R.
    spectral : ndarray (C, c), float64, or None
        R⁺.
    spatial : PseudoInverse or None
        D⁺.
    """

    operator: ForwardOperator
    spectral: NDArray[np.float64] | None
    spatial: PseudoInverse | None

    @property
    def reach(self) -> int:
        """Distance in pixels of the input up to which a pixel acts on the correction of another."""
        return self.operator.reach + (0 if self.spatial is None else self.spatial.reach)

    def project(self, image: Tensor, observed: Tensor) -> Tensor:
        """Return G + D⁺ R⁺ (X - D R G) for G (B, C, H, W) and X (B, c, h, w)."""
        return image + self.correction(observed.to(image) - self.operator(image))

    def correction(self, difference: Tensor) -> Tensor:
        """Return D⁺ R⁺ (B, C, H, W) of a difference (B, c, h, w) between an input and what is observed of an image."""
        from finewave.physics.sensors import apply_response

        correction = difference
        if self.spatial is not None:
            correction = self.spatial(correction)
        if self.spectral is not None:
            correction = apply_response(self.spectral, correction)
        return correction


@dataclass(frozen=True)
class Projection:
    """Constraints of all inputs that a result is observed as.

    D acts on pixels and R on bands, so that D⁺ R⁺ is the pseudo-inverse of D R: one step reaches the nearest image, in
    the least-squares sense, without iterations. The guide's constraint is applied first, the scene's last. If both
    agree, R Y = D M for LR-HSI Y and HR-MSI M, the second step preserves the first constraint, and the result is the
    nearest image that satisfies both. Otherwise no image does: then the scene is reproduced, and the guide as far as it
    is consistent with it.
    """

    constraints: tuple[Constraint, ...]

    @property
    def kind(self) -> str:
        """What tells its results from those of another projection."""
        return "exact"

    @property
    def reach(self) -> int:
        """Distance in pixels of the first input up to which a pixel acts on the result."""
        return sum(constraint.reach for constraint in self.constraints)

    def __call__(self, image: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the projection of an image (B, C, H, W), given the inputs by name."""
        for constraint in self.constraints:
            image = constraint.project(image, inputs[constraint.operator.name])
        return image


def constraint_of(operator: ForwardOperator, owner: str) -> Constraint:
    """Return the constraint of an input.

    Raises
    ------
    InputError
        If a band of the sensor is a mixture of the others, or the degradation has no usable pseudo-inverse, see
        `PseudoInverse`; ``owner`` says whose.
    """
    spectral = spatial = None
    if operator.response is not None:
        spectral = invert_response(operator.response, owner)
    if operator.observation is not None:
        spatial = PseudoInverse(operator.observation, owner)
    return Constraint(operator, spectral, spatial)


def invert_response(response: NDArray[np.float64], owner: str) -> NDArray[np.float64]:
    """Return R⁺ (C, c); a band that is a mixture of the others, or fewer C than c, is an `InputError`."""
    bands, made = response.shape
    if bands > made:
        raise InputError(
            f"a consistent result cannot be computed: {owner} makes {made} bands, fewer than the {bands} of its sensor"
        )
    values = np.linalg.svd(response, compute_uv=False)
    if values[-1] < _SMALLEST_SINGULAR * values[0]:
        raise InputError(
            f"a consistent result cannot be computed: in {owner}, a band of the sensor is a mixture of its other bands"
        )
    return np.linalg.pinv(response).astype(np.float64)
