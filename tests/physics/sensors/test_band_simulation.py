"""Images as a sensor sees them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from finewave import InputError, get_sensor
from finewave.physics.sensors import apply_response

CAVE = np.arange(400.0, 701.0, 10.0)


@pytest.fixture
def response() -> np.ndarray:
    return get_sensor("ikonos", bands=["blue", "green", "red"]).response(CAVE)


@pytest.fixture
def hsi() -> torch.Tensor:
    return torch.rand(2, 31, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def scene(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(
        values,
        dims=("band", "y", "x"),
        coords={
            "wavelength": ("band", CAVE, {"units": "nm"}),
            "good": ("band", np.ones(31, bool)),
            "x": np.arange(5) * 10.0,
            "spatial_ref": 0,
        },
        attrs={"title": "beads"},
        name="reflectance",
    )


def test_is_a_weighted_sum_in_every_pixel(response: np.ndarray, hsi: torch.Tensor) -> None:
    ms = apply_response(response, hsi)
    assert ms.shape == (2, 3, 4, 5)
    for pixel in ((0, 0, 0), (1, 3, 4)):
        b, y, x = pixel
        np.testing.assert_allclose(ms[b, :, y, x], response @ hsi[b, :, y, x].numpy(), rtol=1e-12)


def test_a_flat_spectrum_keeps_its_value(response: np.ndarray) -> None:
    ms = apply_response(response, torch.full((1, 31, 2, 2), 0.3))
    torch.testing.assert_close(ms, torch.full((1, 3, 2, 2), 0.3))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_type_is_kept(response: np.ndarray, hsi: torch.Tensor, dtype: torch.dtype) -> None:
    ms = apply_response(response, hsi.to(dtype))
    assert ms.dtype == dtype
    torch.testing.assert_close(ms.double(), apply_response(response, hsi), atol=2e-2, rtol=0)


def test_is_differentiable(response: np.ndarray, hsi: torch.Tensor) -> None:
    hsi.requires_grad_()
    apply_response(response, hsi).sum().backward()
    assert hsi.grad is not None
    np.testing.assert_allclose(hsi.grad[0, :, 0, 0], response.sum(axis=0), rtol=1e-12)


def test_a_scene_stays_one(response: np.ndarray, hsi: torch.Tensor) -> None:
    ms = apply_response(response, scene(hsi[0].numpy()))
    assert (ms.dims, ms.name, ms.attrs) == (("band", "y", "x"), "reflectance", {"title": "beads"})
    np.testing.assert_allclose(ms, apply_response(response, hsi)[0].numpy(), rtol=1e-12)
    np.testing.assert_allclose(ms["wavelength"], response @ CAVE, rtol=1e-12)
    assert ms["wavelength"].attrs == {"units": "nm"}
    np.testing.assert_array_equal(ms["x"], np.arange(5) * 10.0)
    assert "spatial_ref" in ms.coords
    assert "good" not in ms.coords


def test_a_negative_weight_does_not_move_the_centre_outwards() -> None:
    """Linear sRGB's red: negative about 500 nm, so that its plain mean would be 642 nm."""
    scene = xr.DataArray(np.ones((31, 1, 1)), dims=("band", "y", "x"), coords={"wavelength": ("band", CAVE)})
    srgb = get_sensor("srgb")
    centres = apply_response(srgb.response(CAVE), scene)["wavelength"].values
    np.testing.assert_allclose(centres, srgb.centres, atol=2)
    dark = apply_response(np.zeros((1, 31)), scene)["wavelength"].values
    assert np.isfinite(dark).all()


def test_type_of_a_scene(response: np.ndarray, hsi: torch.Tensor) -> None:
    assert apply_response(response, scene(hsi[0].numpy().astype(np.float32))).dtype == np.float32
    counts = scene((hsi[0].numpy() * 1000).astype(np.uint16))
    assert apply_response(response, counts).dtype == np.float32


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.rand(31, 4, 4), r"\(B, C, H, W\).*\(31, 4, 4\)"),
        (torch.rand(1, 30, 4, 4), r"\(3, 31\) does not fit an image of 30 bands"),
        (torch.zeros(1, 31, 4, 4, dtype=torch.int32), "int32"),
        (np.zeros((1, 31, 4, 4)), "expected a float tensor"),
        (xr.DataArray(np.zeros((31, 4)), dims=("band", "x")), r"\(band, x\)"),
        (xr.DataArray(np.zeros((30, 4, 4)), dims=("band", "y", "x")), "30 bands"),
    ],
)
def test_images_that_do_not_fit(response: np.ndarray, image: torch.Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        apply_response(response, image)
