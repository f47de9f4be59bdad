from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.nn import functional as F

import finewave as fw
from finewave.physics.degradation import KERNELS, fwhm_of_mtf, kernel_taps

WAVELENGTHS = np.arange(400.0, 701.0, 10.0)


def naive(image: np.ndarray, scale: int, weight) -> np.ndarray:
    """Every LR pixel as a plain sum over all HR pixels; the image goes on as its mirror image beyond the border."""
    H, W = image.shape

    def matrix(n: int) -> np.ndarray:
        rows = np.zeros((n // scale, n))
        for i in range(n // scale):
            centre = (i + 0.5) * scale - 0.5
            for j in range(-8 * scale, n + 8 * scale):
                inside = j % (2 * n)
                rows[i, inside if inside < n else 2 * n - 1 - inside] += weight(j - centre)
            rows[i] /= rows[i].sum()
        return rows

    return matrix(H) @ image @ matrix(W).T


def gaussian(scale: int):
    sigma = scale / (2 * np.sqrt(2 * np.log(2)))
    return lambda d: np.exp(-(d**2) / (2 * sigma**2)) if abs(d) < 4.6 * sigma else 0.0


@pytest.mark.parametrize("scale", [2, 3, 4, 5, 8])
def test_gaussian_against_the_definition(scale: int) -> None:
    image = torch.rand(1, 1, 6 * scale, 4 * scale, dtype=torch.float64)
    expected = naive(image[0, 0].numpy(), scale, gaussian(scale))
    np.testing.assert_allclose(fw.degrade(image, scale)[0, 0].numpy(), expected, atol=2e-4)


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parity
def test_bicubic_as_matlab_shrinks(shared_cases, scale: int) -> None:
    case = load_file(shared_cases / "sspsr" / f"matlab_bicubic_x{scale}.safetensors")
    source = next(value for key, value in case.items() if key.startswith("input."))
    got = fw.degrade(source, scale, kernel="bicubic")
    torch.testing.assert_close(got, case["output.lr"].view_as(got), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_bicubic_without_antialiasing_is_interpolation_at_the_centres(scale: int) -> None:
    image = torch.rand(2, 3, 8 * scale, 6 * scale, dtype=torch.float64)
    expected = F.interpolate(image, size=(8, 6), mode="bicubic", align_corners=False)
    got = fw.degrade(image, scale, kernel="bicubic-no-antialias")
    # at the border PyTorch repeats the last pixel, as the mirror image does for one pixel only
    torch.testing.assert_close(got[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1])


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("scale", [2, 3, 4, 6])
def test_pixels_stand_at_their_centres(kernel: str, scale: int) -> None:
    """A ramp in y and x comes out as the ramp at (i + 1/2) s - 1/2."""
    n = 12 * scale
    y, x = torch.meshgrid(torch.arange(n).double(), torch.arange(n).double(), indexing="ij")
    centres = (torch.arange(12).double() + 0.5) * scale - 0.5
    for image, expected in ((y, centres[:, None].expand(12, 12)), (x, centres.expand(12, 12))):
        got = fw.degrade(image[None, None], scale, kernel=kernel)[0, 0]
        torch.testing.assert_close(got[3:-3, 3:-3], expected[3:-3, 3:-3])


@pytest.mark.parametrize("kernel", KERNELS)
@given(scale=st.integers(1, 13))
@settings(max_examples=15, deadline=None)
def test_kernels_sum_to_one_and_are_symmetric(kernel: str, scale: int) -> None:
    taps = kernel_taps(kernel, scale)
    assert taps.sum() == pytest.approx(1)
    assert (len(taps) - scale) % 2 == 0
    np.testing.assert_allclose(taps, taps[::-1], atol=1e-15)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_the_default_gaussian_has_the_stated_width(scale: int) -> None:
    taps = kernel_taps("gaussian", scale)
    x = np.arange(len(taps)) - (len(taps) - 1) / 2
    sigma = np.sqrt((taps * x**2).sum())
    assert 2 * np.sqrt(2 * np.log(2)) * sigma == pytest.approx(scale, rel=0.01)


@pytest.mark.parametrize("kernel", KERNELS)
def test_mixing_bands_and_degrading_commute(kernel: str) -> None:
    """R degrade(G) = degrade(R G)."""
    hr_hsi = torch.rand(2, 31, 24, 20, dtype=torch.float64)
    response = torch.from_numpy(fw.get_sensor("nikon-d5100").response(WAVELENGTHS))

    def mix(x: torch.Tensor) -> torch.Tensor:
        return torch.einsum("kc,bchw->bkhw", response, x)

    first = mix(fw.degrade(hr_hsi, 4, kernel=kernel))
    torch.testing.assert_close(first, fw.degrade(mix(hr_hsi), 4, kernel=kernel), rtol=0, atol=1e-14)
    with_sensor = fw.degrade(hr_hsi, 4, "nikon-d5100", kernel=kernel, wavelengths=WAVELENGTHS)
    torch.testing.assert_close(first, with_sensor, rtol=0, atol=1e-14)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("scale", [2, 3])
def test_degrading_commutes_with_flips_and_turns(kernel: str, scale: int) -> None:
    x = torch.rand(1, 2, 6 * scale, 4 * scale, dtype=torch.float64)
    y = fw.degrade(x, scale, kernel=kernel)
    torch.testing.assert_close(fw.degrade(x.flip(3), scale, kernel=kernel), y.flip(3))
    torch.testing.assert_close(fw.degrade(x.rot90(1, (2, 3)), scale, kernel=kernel), y.rot90(1, (2, 3)))


def test_gradients() -> None:
    x = torch.rand(1, 1, 6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: fw.degrade(x, 3), (x,))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtypes_are_kept(dtype: torch.dtype) -> None:
    x = torch.rand(1, 3, 16, 16).to(dtype)
    y = fw.degrade(x, 4)
    assert y.dtype == dtype
    torch.testing.assert_close(y.double(), fw.degrade(x.double(), 4), rtol=0, atol=2 * torch.finfo(dtype).eps)


def test_noise_is_seeded_and_has_its_size() -> None:
    x = torch.zeros(1, 3, 128, 128)
    a, b = (fw.degrade(x, 2, noise=0.1, seed=7) for _ in range(2))
    assert torch.equal(a, b)
    assert not torch.equal(a, fw.degrade(x, 2, noise=0.1, seed=8))
    assert a.std().item() == pytest.approx(0.1, rel=0.03)


def test_noise_without_a_seed_is_new_in_each_call_and_follows_the_generator() -> None:
    x = torch.zeros(1, 3, 16, 16)
    torch.manual_seed(3)
    first, second = (fw.degrade(x, 2, noise=0.1) for _ in range(2))
    assert not torch.equal(first, second)
    torch.manual_seed(3)
    assert torch.equal(first, fw.degrade(x, 2, noise=0.1))


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 2.5},
        {"scale": "2"},
        {"scale": True},
        {"noise": -0.1},
        {"noise": "0.1"},
        {"noise": float("nan")},
        {"fwhm": 0},
        {"fwhm": "3"},
        {"seed": "a"},
    ],
    ids=str,
)
def test_values_of_a_wrong_kind_or_range_are_refused(options: dict) -> None:
    ((name, value),) = options.items()
    with pytest.raises(fw.InputError, match=re.escape(f"{name}={value!r}; it must be")):
        fw.degrade(torch.zeros(1, 3, 16, 16), **{"scale": 2, **options})


def test_images_smaller_than_the_kernel() -> None:
    x = torch.full((1, 2, 4, 4), 0.3, dtype=torch.float64)
    torch.testing.assert_close(fw.degrade(x, 4), torch.full((1, 2, 1, 1), 0.3, dtype=torch.float64))


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (torch.rand(1, 3, 10, 8), {"scale": 4}, "10 x 8 is not a multiple of scale 4"),
        (torch.rand(8, 8), {"scale": 4}, r"given shape \(8, 8\)"),
        (torch.ones(1, 3, 8, 8, dtype=torch.uint8), {"scale": 4}, "floating-point"),
        (torch.rand(1, 3, 8, 8), {"scale": 4, "kernel": "gausian"}, "did you mean 'gaussian'"),
        (torch.rand(1, 31, 8, 8), {"scale": 4, "sensor": "nikon-d5100"}, "wavelengths="),
        (np.zeros((3, 8, 8)), {"scale": 4}, "ndarray"),
    ],
)
def test_bad_input(image, options: dict, message: str) -> None:
    with pytest.raises(fw.InputError, match=message):
        fw.degrade(image, **options)


def test_a_scene_keeps_its_place_on_the_ground() -> None:
    import rioxarray  # noqa: F401 - registers the accessor
    from rasterio.transform import from_origin

    from finewave.scene import make_scene

    scene = make_scene(
        np.random.default_rng(0).random((31, 16, 24), dtype=np.float32),
        wavelengths=WAVELENGTHS,
        crs="EPSG:32631",
        transform=from_origin(500000, 4600000, 10, 10),
        attrs={"model": "some-network", "model_card": "{}", "upscaling": 2, "title": "a field"},
    )
    lr = fw.degrade(scene, 4, "nikon-d5100")
    assert "title" in lr.attrs
    assert not {"model", "model_card", "upscaling"} & set(lr.attrs)
    assert "model" in scene.attrs
    assert lr.shape == (3, 4, 6)
    assert lr.rio.transform() == from_origin(500000, 4600000, 40, 40)
    assert lr.rio.crs == scene.rio.crs
    assert lr.x.values[0] == 500000 + 20
    expected = fw.degrade(torch.from_numpy(scene.values), 4, "nikon-d5100", wavelengths=WAVELENGTHS)
    np.testing.assert_allclose(lr.values, expected.numpy(), atol=1e-6)


def test_a_photograph_has_no_wavelengths_and_looks_like_its_spectra(tmp_path: Path) -> None:
    """Its red is a primary of displays, not light of 579 nm; colours by it are those by the CIE observer."""
    from finewave.scene import make_scene

    values = np.random.default_rng(0).uniform(0.2, 0.6, (31, 8, 12)).astype(np.float32)
    scene = make_scene(values, wavelengths=WAVELENGTHS, attrs={"sensor": "enmap"})
    fw.save_scene(fw.degrade(scene, 1, "srgb"), tmp_path / "photo.tif")
    seen = fw.open_scene(tmp_path / "photo.tif")
    assert "wavelength" not in seen.coords
    shown = fw.to_rgb(seen)
    assert shown.attrs["rendering"] == "True colour (sRGB photograph)"
    np.testing.assert_allclose(shown.values, fw.to_rgb(scene).values, atol=1e-5)
    camera = fw.degrade(scene, 1, "nikon-d5100")
    assert "sensor" not in camera.attrs
    assert "wavelength" in camera.coords
    assert scene.attrs["sensor"] == "enmap"


@pytest.mark.parametrize("mtf", [0.15, 0.3, 0.6])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_gaussian_has_the_mtf_asked_for_at_nyquist(mtf: float, scale: int) -> None:
    """Measured on waves of the LR pixels' Nyquist frequency: amplitude after the blur over amplitude before."""
    taps = kernel_taps("gaussian", scale, fwhm_of_mtf(mtf, scale))
    x = np.arange(len(taps)) - (len(taps) - 1) / 2
    assert float(taps @ np.cos(2 * np.pi * x / (2 * scale))) == pytest.approx(mtf, abs=0.01)


def test_mtf_in_place_of_a_width() -> None:
    image = torch.rand(1, 2, 16, 16, dtype=torch.float64)
    wide = fw.degrade(image, 4, mtf=0.3)
    torch.testing.assert_close(wide, fw.degrade(image, 4, fwhm=fwhm_of_mtf(0.3, 4)))
    assert not torch.allclose(wide, fw.degrade(image, 4))
    assert fwhm_of_mtf(0.4107, 4) == pytest.approx(4, abs=0.01)  # the default width, as the documentation says


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mtf": 1.2}, "between 0 and 1"),
        ({"mtf": "sharp"}, "between 0 and 1"),
        ({"mtf": 0.3, "fwhm": 4.0}, "without fwhm="),
        ({"mtf": 0.3, "kernel": "bicubic"}, "not for 'bicubic'"),
    ],
)
def test_a_wrong_mtf_is_refused(options: dict, message: str) -> None:
    with pytest.raises(fw.InputError, match=message):
        fw.degrade(torch.rand(1, 1, 8, 8), 2, **options)
