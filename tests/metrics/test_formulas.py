"""Each metric against closed forms, loops written out, and the libraries whose convention is the same."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from finewave.metrics import cc, ergas, psnr, rmse, sam, ssim
from finewave.metrics.ergas import dark_bands
from finewave.metrics.sam import zero_spectra
from finewave.metrics.ssim import SsimVariant


def image(seed: int, bands: int = 5, height: int = 17, width: int = 14) -> Tensor:
    """Smooth values in [0.1, 0.9]."""
    generator = torch.Generator().manual_seed(seed)
    rough = torch.rand(1, bands, height // 3 + 1, width // 3 + 1, generator=generator, dtype=torch.float64)
    return 0.1 + 0.8 * torch.nn.functional.interpolate(rough, (height, width), mode="bilinear")[0]


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    target = image(1)
    return target + 0.1 * (image(2) - 0.5), target


def test_psnr_of_a_constant_offset() -> None:
    target = image(1)
    assert psnr(target + 0.1, target) == pytest.approx(20.0, abs=1e-9)
    assert psnr(target + 0.1, target, per_band=True) == pytest.approx(20.0, abs=1e-9)
    assert psnr(target + 0.1, target, data_range=10.0) == pytest.approx(40.0, abs=1e-9)


def test_psnr_of_bands_is_the_mean_of_their_values() -> None:
    target = torch.zeros(2, 4, 4)
    pred = torch.tensor([0.1, 0.01]).view(2, 1, 1).expand(2, 4, 4)
    assert psnr(pred, target, per_band=True) == pytest.approx(30.0, abs=1e-5)
    assert psnr(pred, target) == pytest.approx(10 * math.log10(2 / (0.01 + 0.0001)), abs=1e-5)


def test_psnr_of_bands_is_never_smaller(pair: tuple[Tensor, Tensor]) -> None:
    assert psnr(*pair, per_band=True) > psnr(*pair)


def test_psnr_of_identical_images_is_infinite() -> None:
    assert psnr(image(1), image(1)) == math.inf
    assert psnr(image(1), image(1), per_band=True) == math.inf


def test_rmse_of_a_constant_offset() -> None:
    assert rmse(image(1) - 0.25, image(1)) == pytest.approx(0.25, abs=1e-12)


def test_rmse_and_psnr_agree(pair: tuple[Tensor, Tensor]) -> None:
    assert psnr(*pair) == pytest.approx(-20 * math.log10(rmse(*pair)), abs=1e-12)


def test_sam_of_scaled_spectra_is_zero() -> None:
    target = image(1)
    factor = torch.linspace(0.2, 3.0, target[0].numel(), dtype=torch.float64).view_as(target[0])
    assert sam(target * factor, target) == pytest.approx(0.0, abs=2e-6)


@pytest.mark.parametrize("degrees", [5.0, 30.0, 90.0, 170.0])
def test_sam_of_rotated_spectra(degrees: float) -> None:
    angle = math.radians(degrees)
    target = torch.zeros(3, 4, 5, dtype=torch.float64)
    target[0] = 0.7
    pred = torch.zeros_like(target)
    pred[0], pred[2] = 2.0 * math.cos(angle), 2.0 * math.sin(angle)
    assert sam(pred, target) == pytest.approx(degrees, abs=1e-9)
    assert sam(pred, target, degrees=False) == pytest.approx(angle, abs=1e-12)


def test_sam_in_a_loop(pair: tuple[Tensor, Tensor]) -> None:
    pred, target = (x.numpy() for x in pair)
    angles = []
    for y in range(pred.shape[1]):
        for x in range(pred.shape[2]):
            p, t = pred[:, y, x], target[:, y, x]
            angles.append(np.degrees(np.arccos(p @ t / np.linalg.norm(p) / np.linalg.norm(t))))
    assert sam(*pair) == pytest.approx(np.mean(angles), rel=1e-10)


def test_sam_is_symmetric(pair: tuple[Tensor, Tensor]) -> None:
    pred, target = pair
    assert sam(pred, target) == pytest.approx(sam(target, pred), rel=1e-12)


def test_zero_spectra_in_each_treatment() -> None:
    target = torch.tensor([1.0, 0.0]).view(2, 1, 1).expand(2, 1, 4).double().clone()
    pred = torch.tensor([1.0, 1.0]).view(2, 1, 1).expand(2, 1, 4).double().clone()
    target[:, 0, 0] = 0.0
    assert zero_spectra(pred, target) == 1
    assert sam(pred, target, zeros="skip") == pytest.approx(45.0, abs=1e-9)
    assert math.isnan(sam(pred, target, zeros="nan"))
    # 1e-8 / (sqrt(2) 1e-8): the cosine of 45 degrees as it happens.
    assert sam(pred, target, zeros="additive") == pytest.approx(45.0, abs=1e-5)
    # <t, p> = 2 e and |t| |p| + e = 3 e, with e = 2**-52 for every zero.
    tiny = (3 * 45.0 + math.degrees(math.acos(2 / 3))) / 4
    assert sam(pred, target, zeros="tiny") == pytest.approx(tiny, abs=1e-9)


def test_sam_without_any_direction_is_not_defined() -> None:
    assert math.isnan(sam(image(1), torch.zeros_like(image(1))))  # 0 would be a perfect score
    assert zero_spectra(image(1), torch.zeros_like(image(1))) == image(1)[0].numel()


def test_norms_below_the_threshold_are_skipped_and_above_are_not() -> None:
    target = torch.zeros(2, 1, 2, dtype=torch.float64)
    target[0, 0] = torch.tensor([0.99e-8, 1.01e-8])
    pred = torch.ones_like(target)
    assert zero_spectra(pred, target) == 1
    assert sam(pred, target) == pytest.approx(45.0, abs=1e-6)


def test_ergas_by_hand() -> None:
    target = torch.tensor([0.5, 0.25]).view(2, 1, 1).expand(2, 3, 3)
    pred = target + torch.tensor([0.05, 0.05]).view(2, 1, 1)
    relative = ((0.1) ** 2 + (0.2) ** 2) / 2
    assert ergas(pred, target, 4) == pytest.approx(25 * math.sqrt(relative), rel=1e-5)
    swapped = ((0.05 / 0.55) ** 2 + (0.05 / 0.3) ** 2) / 2
    assert ergas(pred, target, 4, mean_of_prediction=True) == pytest.approx(25 * math.sqrt(swapped), rel=1e-5)


def test_ergas_is_inverse_to_the_ratio(pair: tuple[Tensor, Tensor]) -> None:
    assert ergas(*pair, 2) == pytest.approx(4 * ergas(*pair, 8), rel=1e-12)


def test_ergas_leaves_dark_bands_out(pair: tuple[Tensor, Tensor]) -> None:
    pred, target = pair
    dark = target.clone()
    dark[2] = 0.0
    rest = [0, 1, 3, 4]
    assert dark_bands(dark).tolist() == [False, False, True, False, False]
    assert ergas(pred, dark, 4) == pytest.approx(ergas(pred[rest], target[rest], 4), rel=1e-12)
    assert math.isnan(ergas(pred, torch.zeros_like(target), 4))


def test_cc_of_linear_relations() -> None:
    target = image(1)
    assert cc(3 * target - 1, target) == pytest.approx(1.0, abs=1e-12)
    assert cc(1 - target, target) == pytest.approx(-1.0, abs=1e-12)


def test_cc_of_bands(pair: tuple[Tensor, Tensor]) -> None:
    pred, target = (x.flatten(1).numpy() for x in pair)
    each = [np.corrcoef(p, t)[0, 1] for p, t in zip(pred, target, strict=True)]
    assert cc(*pair) == pytest.approx(np.mean(each), rel=1e-10)


def test_cc_leaves_constant_bands_out(pair: tuple[Tensor, Tensor]) -> None:
    pred, target = pair[0].clone(), pair[1]
    pred[0] = 0.1
    assert cc(pred, target) == pytest.approx(cc(pred[1:], target[1:]), rel=1e-12)
    assert math.isnan(cc(torch.full_like(target, 0.1), target))


def naive_ssim(pred: np.ndarray, target: np.ndarray, variant: SsimVariant, data_range: float) -> float:
    """SSIM of one band with a loop over windows."""
    size = 7 if variant == "uniform7" else 11
    if variant == "gauss-reflect":
        pred, target = (np.pad(x, 5, mode="reflect") for x in (pred, target))
    if variant == "uniform7":
        weights = np.full((7, 7), 1 / 49)
    else:
        y, x = np.mgrid[-5:6, -5:6]
        weights = np.exp(-(x**2 + y**2) / (2 * 1.5**2))
        weights /= weights.sum()
    factor = 49 / 48 if variant == "uniform7" else 1.0
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    values = []
    for row in range(pred.shape[0] - size + 1):
        for column in range(pred.shape[1] - size + 1):
            p = pred[row : row + size, column : column + size]
            t = target[row : row + size, column : column + size]
            pm, tm = (weights * p).sum(), (weights * t).sum()
            pv, tv = (weights * (p - pm) ** 2).sum() * factor, (weights * (t - tm) ** 2).sum() * factor
            both = (weights * (p - pm) * (t - tm)).sum() * factor
            values.append((2 * pm * tm + c1) * (2 * both + c2) / ((pm**2 + tm**2 + c1) * (pv + tv + c2)))
    return float(np.mean(values))


@pytest.mark.parametrize("variant", ["gauss-valid", "gauss-reflect", "uniform7"])
@pytest.mark.parametrize("data_range", [1.0, 2.0])
def test_ssim_in_a_loop(pair: tuple[Tensor, Tensor], variant: SsimVariant, data_range: float) -> None:
    pred, target = pair
    each = [naive_ssim(p.numpy(), t.numpy(), variant, data_range) for p, t in zip(pred, target, strict=True)]
    ours = ssim(pred, target, variant=variant, data_range=data_range)
    assert ours == pytest.approx(np.mean(each), rel=1e-10)


@pytest.mark.parametrize("variant", ["gauss-valid", "gauss-reflect", "uniform7"])
def test_ssim_of_identical_images_is_one(variant: SsimVariant) -> None:
    assert ssim(image(1), image(1), variant=variant) == pytest.approx(1.0, abs=1e-12)


def test_ssim_takes_many_bands_in_parts(monkeypatch: pytest.MonkeyPatch, pair: tuple[Tensor, Tensor]) -> None:
    together = ssim(*pair)
    # The package's attribute of this name is the function.
    monkeypatch.setattr(sys.modules["finewave.metrics.ssim"], "_PIXELS_AT_ONCE", 2 * 17 * 14)
    assert ssim(*pair) == pytest.approx(together, rel=1e-12)


@pytest.mark.parametrize(("variant", "smallest"), [("gauss-valid", 11), ("gauss-reflect", 6), ("uniform7", 7)])
def test_ssim_of_an_image_smaller_than_its_window(variant: SsimVariant, smallest: int) -> None:
    fits = image(1, height=smallest, width=smallest + 3)
    assert ssim(fits, fits, variant=variant) == pytest.approx(1.0)
    small = fits[:, :-1]
    assert math.isnan(ssim(small, small, variant=variant))


def test_libraries_of_the_same_convention(pair: tuple[Tensor, Tensor]) -> None:
    from skimage.metrics import structural_similarity
    from torchmetrics.functional import image as theirs

    pred, target = pair
    a, b = pred[None], target[None]
    assert psnr(pred, target) == pytest.approx(float(theirs.peak_signal_noise_ratio(a, b, data_range=1.0)), rel=1e-6)
    assert sam(pred, target, degrees=False) == pytest.approx(float(theirs.spectral_angle_mapper(a, b)), rel=1e-6)
    assert ergas(pred, target, 4) == pytest.approx(
        float(theirs.error_relative_global_dimensionless_synthesis(a, b, ratio=4)), rel=1e-6
    )
    assert ssim(pred, target, variant="gauss-reflect") == pytest.approx(
        torch.as_tensor(theirs.structural_similarity_index_measure(a, b, data_range=1.0)).item(), rel=1e-6
    )
    sk = structural_similarity(target.numpy(), pred.numpy(), channel_axis=0, data_range=1.0)
    assert ssim(pred, target, variant="uniform7") == pytest.approx(sk, rel=1e-9)


def test_order_of_bands_and_pixels_does_not_matter(pair: tuple[Tensor, Tensor]) -> None:
    generator = torch.Generator().manual_seed(0)
    pred, target = pair
    bands = torch.randperm(5, generator=generator)
    pixels = torch.randperm(target[0].numel(), generator=generator)

    def mixed(x: Tensor) -> Tensor:
        return x[bands].flatten(1)[:, pixels].view_as(x)

    for metric in (psnr, rmse, sam, cc):
        assert metric(mixed(pred), mixed(target)) == pytest.approx(metric(pred, target), rel=1e-10)
    assert ergas(mixed(pred), mixed(target), 4) == pytest.approx(ergas(pred, target, 4), rel=1e-10)
    assert ssim(pred[bands], target[bands]) == pytest.approx(ssim(pred, target), rel=1e-10)
    assert ssim(pred.flip(-1), target.flip(-1)) == pytest.approx(ssim(pred, target), rel=1e-10)
    assert ssim(pred.mT, target.mT) == pytest.approx(ssim(pred, target), rel=1e-10)
