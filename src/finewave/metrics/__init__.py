"""Quality metrics: PSNR, SSIM, SAM, ERGAS, RMSE and CC, in the conventions of published systems."""

from finewave.metrics.accumulator import MetricAccumulator, Summary
from finewave.metrics.cc import cc
from finewave.metrics.conventions import CONVENTIONS, Convention, get_convention
from finewave.metrics.description import METRICS, MetricDescription
from finewave.metrics.ergas import ergas
from finewave.metrics.evaluate_images import Scores, evaluate, score_images
from finewave.metrics.psnr import psnr
from finewave.metrics.rmse import rmse
from finewave.metrics.sam import sam
from finewave.metrics.ssim import ssim

__all__ = [
    "CONVENTIONS",
    "METRICS",
    "Convention",
    "MetricAccumulator",
    "MetricDescription",
    "Scores",
    "Summary",
    "cc",
    "ergas",
    "evaluate",
    "get_convention",
    "psnr",
    "rmse",
    "sam",
    "score_images",
    "ssim",
]
