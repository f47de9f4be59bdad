"""All metrics together: inputs, conventions, gaps in the data, and whole test sets."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor

import finewave
from finewave import FinewaveWarning, InputError
from finewave.metrics import METRICS, MetricAccumulator, evaluate, psnr, rmse, score_images, ssim


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    target = torch.rand(3, 4, 16, 18, generator=generator) * 0.8 + 0.1
    return target + 0.05 * torch.randn(target.shape, generator=generator), target


def scene(values: np.ndarray, first: float = 400.0) -> xr.DataArray:
    wavelengths = first + 10.0 * np.arange(values.shape[0])
    return xr.DataArray(values, dims=("band", "y", "x"), coords={"wavelength": ("band", wavelengths)})


def test_the_eight_names(batch: tuple[Tensor, Tensor]) -> None:
    result = finewave.metrics.evaluate(*batch, scale=4)
    assert list(result) == ["psnr", "psnr_band", "ssim", "sam", "ergas", "ergas_4", "rmse", "cc"]
    assert all(isinstance(value, float) and math.isfinite(value) for value in result.values())


def test_tensors_arrays_and_scenes_are_the_same(batch: tuple[Tensor, Tensor]) -> None:
    pred, target = batch[0][0], batch[1][0]
    wanted = evaluate(pred, target)
    assert evaluate(pred[None], target[None]) == wanted
    assert evaluate(pred.numpy(), target.numpy()) == wanted
    assert evaluate(pred.numpy().astype(">f4"), target) == wanted
    assert evaluate(scene(pred.numpy()).transpose("y", "x", "band"), scene(target.numpy())) == wanted


def test_a_batch_is_the_mean_of_its_images(batch: tuple[Tensor, Tensor]) -> None:
    each = [evaluate(p, t) for p, t in zip(*batch, strict=True)]
    for name, value in evaluate(*batch).items():
        assert value == pytest.approx(sum(one[name] for one in each) / 3, rel=1e-12)


def test_scale_is_the_ratio_of_ergas_only(batch: tuple[Tensor, Tensor]) -> None:
    four, eight = evaluate(*batch, 4), evaluate(*batch, 8)
    assert four["ergas"] == four["ergas_4"]
    assert eight["ergas"] == pytest.approx(four["ergas"] / 2, rel=1e-12)
    assert {k: v for k, v in eight.items() if k != "ergas"} == {k: v for k, v in four.items() if k != "ergas"}


def test_conventions_differ_where_they_should(batch: tuple[Tensor, Tensor]) -> None:
    results = {name: evaluate(*batch, 8, convention=name) for name in finewave.metrics.CONVENTIONS}
    ours = results["finewave"]
    for name in ("sspsr", "ssc-hsr"):
        assert results[name]["psnr"] == results[name]["psnr_band"] == ours["psnr_band"]
        assert results[name]["ssim"] == evaluate(*batch, convention="sspsr")["ssim"] != ours["ssim"]
    assert results["jssunet"]["psnr"] == ours["psnr"] < ours["psnr_band"]
    assert results["jssunet"]["ergas"] == pytest.approx(results["jssunet"]["ergas_4"], rel=0.1)
    assert results["jssunet"]["ergas"] != results["jssunet"]["ergas_4"]
    # The noise leads out of [0, 1] in places, and clipping can only mend that.
    assert results["mulsr"]["psnr"] > ours["psnr"]


def test_names_of_conventions_in_any_spelling(batch: tuple[Tensor, Tensor]) -> None:
    assert evaluate(*batch, convention="SSC_HSR") == evaluate(*batch, convention="ssc-hsr")


def test_clipping_is_to_the_data_range() -> None:
    target = torch.full((2, 12, 12), 9.0)
    assert evaluate(target + 5.0, target, data_range=10.0, convention="mulsr")["rmse"] == pytest.approx(1.0)
    assert evaluate(target + 5.0, target, data_range=10.0)["rmse"] == pytest.approx(5.0)


def test_metrics_scale_with_the_data_range(batch: tuple[Tensor, Tensor]) -> None:
    once, thousandfold = evaluate(*batch), evaluate(batch[0] * 1000, batch[1] * 1000, data_range=1000.0)
    for name in METRICS:
        factor = 1000 if name == "rmse" else 1
        assert thousandfold[name] == pytest.approx(factor * once[name], rel=1e-5)


def test_identical_images(batch: tuple[Tensor, Tensor]) -> None:
    same = evaluate(batch[1], batch[1])
    assert same["psnr"] == same["psnr_band"] == math.inf
    assert (same["ergas"], same["rmse"]) == (0.0, 0.0)
    assert same["ssim"] == pytest.approx(1.0)
    assert same["cc"] == pytest.approx(1.0)
    assert same["sam"] == pytest.approx(0.0, abs=1e-5)


def test_half_precision_is_computed_in_double(batch: tuple[Tensor, Tensor]) -> None:
    pred, target = (x.bfloat16() for x in batch)
    assert evaluate(pred, target) == evaluate(pred.double(), target.double())


def test_inputs_are_not_changed(batch: tuple[Tensor, Tensor]) -> None:
    copies = [x.clone() for x in batch]
    for convention in finewave.metrics.CONVENTIONS:
        evaluate(*batch, convention=convention)
    assert all(torch.equal(a, b) for a, b in zip(batch, copies, strict=True))


def test_gradients_are_not_kept(batch: tuple[Tensor, Tensor]) -> None:
    pred = batch[0].clone().requires_grad_()
    assert evaluate(pred, batch[1]) == evaluate(*batch)


def test_nan_pixels_are_left_out_of_every_metric(batch: tuple[Tensor, Tensor]) -> None:
    pred, target = batch[0][0].clone(), batch[1][0].clone()
    # The right-hand columns of a single band, and of the other image: what is left is a smaller image.
    target[1, :, 16:] = math.nan
    pred[2, :, 15:] = math.nan
    with pytest.warns(FinewaveWarning, match="48 pixels are nan"):
        gaps = evaluate(pred, target)
    whole = evaluate(batch[0][0, :, :, :15], batch[1][0, :, :, :15])
    for name in METRICS:
        assert gaps[name] == pytest.approx(whole[name], rel=1e-10), name
    assert next(iter(score_images(pred, target))).nodata_pixels == 48


def test_windows_of_ssim_that_touch_a_gap_do_not_count(batch: tuple[Tensor, Tensor]) -> None:
    pred, target = batch[0][0].clone(), batch[1][0]
    valid = torch.ones(16, 18, dtype=torch.bool)
    valid[7, 8] = False
    pred[:, 7, 8] = math.nan
    # Every 11 x 11 window of a 16 x 18 image holds this pixel; of 7 x 7 some do not.
    assert math.isnan(ssim(pred, target, valid=valid))
    assert math.isfinite(ssim(pred, target, valid=valid, variant="uniform7"))
    assert math.isfinite(ssim(pred, target, valid=valid, variant="gauss-reflect"))
    with pytest.warns(FinewaveWarning) as told:
        assert math.isnan(evaluate(pred, target)["ssim"])
    assert any("no window of SSIM" in str(one.message) for one in told)


def test_zero_spectra_and_dark_bands_are_reported(batch: tuple[Tensor, Tensor]) -> None:
    pred, target = batch[0].clone(), batch[1].clone()
    target[0, :, 2, 3:5] = 0.0
    target[1, 2] = 0.0
    with pytest.warns(FinewaveWarning) as told:
        assert all(math.isfinite(value) for value in evaluate(pred, target).values())
    messages = [str(one.message) for one in told]
    assert any(message.startswith("2 pixels have a spectrum of zeros") for message in messages)
    assert any(message.startswith("1 bands have a target mean of zero") for message in messages)
    counts = [one.left_out for one in score_images(pred, target)]
    assert [one["zero_spectra"] for one in counts] == [2, 0, 0]
    assert [one["dark_bands"] for one in counts] == [0, 1, 0]


def test_a_clean_pair_warns_of_nothing(batch: tuple[Tensor, Tensor]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(*batch)


def test_a_tiny_image_has_no_ssim_but_the_rest(batch: tuple[Tensor, Tensor]) -> None:
    pred, target = batch[0][..., :8, :8], batch[1][..., :8, :8]
    with pytest.warns(FinewaveWarning, match="SSIM is nan"):
        result = evaluate(pred, target)
    assert [name for name, value in result.items() if math.isnan(value)] == ["ssim"]


@pytest.mark.parametrize(
    ("pred", "target", "message"),
    [
        (torch.rand(4, 8, 8), torch.rand(4, 8, 9), r"\(1, 4, 8, 8\).*\(1, 4, 8, 9\)"),
        (torch.rand(3, 8, 8), torch.rand(4, 8, 8), "do not match"),
        (torch.rand(8, 8), torch.rand(8, 8), r"shape \(8, 8\); expected"),
        (torch.rand(1, 1, 4, 8, 8), torch.rand(4, 8, 8), "expected"),
        (torch.zeros(4, 8, 8, dtype=torch.int32), torch.rand(4, 8, 8), "prediction holds int32"),
        (torch.rand(4, 8, 8), np.zeros((4, 8, 8), np.uint16), "target holds uint16.*65535"),
        (torch.rand(4, 8, 8) > 0.5, torch.rand(4, 8, 8), "bool"),
        ([[1.0]], torch.rand(4, 8, 8), "list"),
        (torch.rand(4, 0, 8), torch.rand(4, 0, 8), "no pixel"),
        (torch.full((4, 8, 8), math.inf), torch.rand(4, 8, 8), "prediction holds infinite"),
        (torch.full((4, 8, 8), math.nan), torch.rand(4, 8, 8), "every pixel is nan"),
        (scene(np.ones((4, 8, 8))), scene(np.ones((4, 8, 8)), first=500.0), "400-430 nm.*500-530 nm"),
        (scene(np.ones((4, 8, 8))).rename(y="row"), torch.rand(4, 8, 8), "row"),
    ],
)
def test_what_cannot_be_compared(pred: object, target: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(pred, target)


@pytest.mark.parametrize("keywords", [{"scale": 0}, {"scale": math.nan}, {"data_range": -1.0}])
def test_scale_and_range_must_be_positive(batch: tuple[Tensor, Tensor], keywords: dict[str, float]) -> None:
    with pytest.raises(InputError, match="positive"):
        evaluate(*batch, **keywords)


def test_an_unknown_convention_names_the_nearest(batch: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(InputError, match="'jssunet'"):
        evaluate(*batch, convention="jsunet")
    with pytest.raises(InputError, match="'sspsr'"):
        MetricAccumulator(convention="sspr")


def test_accumulated_is_all_at_once(batch: tuple[Tensor, Tensor]) -> None:
    accumulator = MetricAccumulator(scale=2, convention="sspsr")
    accumulator.update(batch[0][0], batch[1][0], names="cloth")
    accumulator.update(batch[0][1:], batch[1][1:], names=["beads", "face"])
    summary = accumulator.compute()
    assert len(accumulator) == 3
    assert summary.means == pytest.approx(evaluate(*batch, 2, convention="sspsr"), rel=1e-12)
    assert [row["name"] for row in summary.rows] == ["cloth", "beads", "face"]
    assert summary.rows[1]["psnr"] == psnr(batch[0][1], batch[1][1], per_band=True)
    assert (summary.scale, summary.convention) == (2, "sspsr")


def test_an_accumulator_holds_no_image(batch: tuple[Tensor, Tensor]) -> None:
    accumulator = MetricAccumulator()
    accumulator.update(*batch)
    held = [value for score in accumulator._scores for value in vars(score).values()]
    assert not any(isinstance(value, Tensor | np.ndarray) for value in held)


def test_accumulated_counts(batch: tuple[Tensor, Tensor]) -> None:
    pred, target = batch[0].clone(), batch[1].clone()
    target[0, :, 0, :3] = 0.0
    target[1, 0] = 0.0
    pred[2, 1, 5, 5] = math.nan
    accumulator = MetricAccumulator()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # counts instead of a warning for every image
        accumulator.update(pred, target)
        accumulator.update(pred[:1, :, :8, :8], target[:1, :, :8, :8])
    summary = accumulator.compute()
    assert summary.left_out == {"nodata_pixels": 1, "zero_spectra": 6, "dark_bands": 1}
    assert [row["name"] for row in summary.rows] == ["0", "1", "2", "3"]
    assert summary.undefined == {name: int(name == "ssim") for name in METRICS}
    defined = [row["ssim"] for row in summary.rows if not math.isnan(row["ssim"])]
    assert summary.means["ssim"] == pytest.approx(sum(defined) / 3)
    assert summary.means["rmse"] == pytest.approx(sum(row["rmse"] for row in summary.rows) / 4)


def test_accumulator_without_images_or_with_too_few_names(batch: tuple[Tensor, Tensor]) -> None:
    accumulator = MetricAccumulator()
    with pytest.raises(InputError, match="no image"):
        accumulator.compute()
    with pytest.raises(InputError, match="3 images but 1 names"):
        accumulator.update(*batch, names="cloth")
    assert len(accumulator) == 0
    accumulator.update(*batch)
    accumulator.reset()
    assert len(accumulator) == 0


def test_rmse_is_of_all_bands_together() -> None:
    target = torch.zeros(2, 3, 3)
    pred = torch.tensor([0.3, 0.4]).view(2, 1, 1).expand(2, 3, 3)
    assert rmse(pred, target) == pytest.approx(math.sqrt((0.09 + 0.16) / 2), rel=1e-6)
