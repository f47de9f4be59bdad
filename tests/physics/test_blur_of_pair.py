"""Which blur lies between two images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from finewave.physics.blur_of_pair import BlurMisfit, contradicting_blur
from finewave.physics.degradation import degrade


def images(scale: int, blur: dict[str, Any], noise: float = 0.0, side: int = 40) -> dict[str, Tensor]:
    """LR-HSI of five bands and HR-MSI of two; materials with sharp edges under smooth light."""
    generator = torch.Generator().manual_seed(4)
    places = torch.rand(9, 2, generator=generator) * side * scale
    rows, columns = torch.meshgrid(torch.arange(side * scale), torch.arange(side * scale), indexing="ij")
    nearest = ((rows[None] - places[:, :1, None]) ** 2 + (columns[None] - places[:, 1:, None]) ** 2).argmin(0)
    hsi = torch.rand(9, 5, generator=generator)[nearest].permute(2, 0, 1)[None]
    hsi = (hsi * (0.7 + 0.3 * torch.sin(rows / (5.0 * scale)))).double()
    msi = torch.einsum("ck,bkhw->bchw", torch.rand(2, 5, generator=generator).double(), hsi)
    pair = {"lr_hsi": degrade(hsi, scale, **blur), "hr_msi": msi}
    return {
        **{key: each + noise * torch.randn(each.shape, generator=generator).double() for key, each in pair.items()},
        "hr_hsi": hsi,
    }


@pytest.mark.parametrize("noise", [0.0, 0.003])
@pytest.mark.parametrize("scale", [2, 4])
def test_another_width_is_found_and_the_stated_one_believed(scale: int, noise: float) -> None:
    stated = {"kernel": "gaussian"}
    for ratio in (0.75, 1.3):
        pair = images(scale, {"kernel": "gaussian", "fwhm": ratio * scale}, noise)
        found = contradicting_blur(pair["lr_hsi"], pair["hr_msi"], stated)
        assert found is not None
        assert found["kernel"] == "gaussian"
        assert found["fwhm"] == pytest.approx(ratio * scale, rel=0.05)
    pair = images(scale, stated, noise)
    assert contradicting_blur(pair["lr_hsi"], pair["hr_msi"], stated) is None


@pytest.mark.parametrize("kernel", ["bicubic", "anisotropic-gaussian"])
def test_other_kernels_are_found(kernel: str) -> None:
    pair = images(4, {"kernel": kernel})
    assert contradicting_blur(pair["lr_hsi"], pair["hr_msi"], {"kernel": "gaussian"}) == {"kernel": kernel}


def test_the_misfit_is_what_least_squares_leave() -> None:
    pair = images(2, {"kernel": "gaussian", "fwhm": 3.0}, 0.02, side=9)
    low = degrade(pair["hr_msi"], 2, kernel="bicubic")[0].flatten(1).T.numpy()
    design = np.column_stack([np.ones(81), pair["lr_hsi"][0].flatten(1).T.numpy()])
    left = low - design @ np.linalg.lstsq(design, low, rcond=None)[0]
    expected = (left**2).sum() / ((low - low.mean(0)) ** 2).sum()
    misfit = BlurMisfit(pair["lr_hsi"], pair["hr_msi"])
    assert misfit({"kernel": "bicubic"}) == pytest.approx(expected, rel=1e-6)


def test_nothing_is_concluded_from_little_or_from_nothing() -> None:
    pair = images(2, {"kernel": "gaussian", "fwhm": 3.0}, side=7)
    assert contradicting_blur(pair["lr_hsi"], pair["hr_msi"], {}) is None
    flat = torch.ones(1, 2, 40, 40)
    assert contradicting_blur(torch.ones(1, 5, 20, 20), flat, {}) is None
    random = torch.Generator().manual_seed(0)
    unrelated = torch.rand(1, 5, 20, 20, generator=random), torch.rand(1, 2, 40, 40, generator=random)
    assert contradicting_blur(*unrelated, {}) is None
