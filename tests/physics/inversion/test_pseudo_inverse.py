"""The smallest correction of an image, against the pseudo-inverse of the degradation written out as a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from finewave.errors import InputError
from finewave.physics.inversion.pseudo_inverse import LARGEST_CONDITION, PseudoInverse, separable_taps
from finewave.physics.observation import Observation

ROWS, COLUMNS = 5, 9
DEGRADATIONS: dict[str, tuple[int, dict[str, Any]]] = {
    "gaussian, even": (4, {}),
    "gaussian, odd": (3, {}),
    "wide gaussian": (2, {"fwhm": 3.5}),
    "bicubic": (3, {"kernel": "bicubic"}),
    "without low-pass": (2, {"kernel": "bicubic-no-antialias"}),
    "along the axes": (2, {"kernel": "anisotropic-gaussian", "size": 7, "variances": (1.0, 2.5)}),
}


def matrices(observation: Observation) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what an observation does along rows and along columns, border included."""
    s = observation.scale
    height, width = ROWS * s, COLUMNS * s
    down = torch.eye(height, dtype=torch.float64)[:, :, None].expand(-1, -1, s)
    across = torch.eye(width, dtype=torch.float64)[:, None, :].expand(-1, s, -1)
    return observation(down[:, None])[:, 0, :, 0].T, observation(across[:, None])[:, 0, 0, :].T


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_it_is_the_pseudo_inverse_up_to_the_border(name: str) -> None:
    scale, options = DEGRADATIONS[name]
    observation = Observation(scale, options, "test")
    down, across = matrices(observation)
    difference = torch.randn(1, 2, ROWS, COLUMNS, dtype=torch.float64)
    expected = torch.linalg.pinv(down) @ difference @ torch.linalg.pinv(across).T
    correction = PseudoInverse(observation, "test")(difference)
    assert expected.abs().max() > 0.5
    torch.testing.assert_close(correction, expected, rtol=0, atol=2e-5)
    torch.testing.assert_close(observation(correction), difference, rtol=0, atol=2e-5)


def test_nothing_acts_beyond_the_reach() -> None:
    least_norm = PseudoInverse(Observation(2, {}, "test"), "test")
    side = 2 * least_norm.reach + 3
    difference = torch.zeros(1, 1, side, side)
    difference[0, 0, side // 2, side // 2] = 1
    rows = least_norm(difference)[0, 0].abs().amax(1).view(side, 2).amax(1)
    used = torch.nonzero(rows)[:, 0]
    assert (used[0], used[-1]) == (1, side - 2)


def test_kernels_that_are_refused() -> None:
    for options in ({"angle": 0.5}, {"centred": False}):
        degradation = {"kernel": "anisotropic-gaussian", **options}
        with pytest.raises(InputError, match="net: results can be made consistent for kernels that are separable"):
            PseudoInverse(Observation(4, degradation, "net"), "net")
    with pytest.raises(InputError, match="net: this degradation blurs so much"):
        PseudoInverse(Observation(4, {"fwhm": 10.0}, "net"), "net")


def test_the_bound_is_on_the_condition_of_the_degradation() -> None:
    observation = Observation(2, {"fwhm": 4.0}, "test")
    down, _ = matrices(observation)
    values = torch.linalg.svdvals(down)
    assert (values[0] / values[-1]).square() < LARGEST_CONDITION
    PseudoInverse(observation, "test")


def test_taps_are_those_of_the_degradation() -> None:
    from finewave.physics.degradation import kernel_taps

    for taps in separable_taps(Observation(3, {}, "test"), "test"):
        np.testing.assert_allclose(taps[taps > 0], kernel_taps("gaussian", 3), atol=1e-12)
