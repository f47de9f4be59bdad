"""A study that trains in seconds: a small JSSUNet in two variants, scored with and without post-processing."""

from __future__ import annotations

from finewave.evaluation.protocols import PROTOCOLS, Protocol
from finewave.studies.definitions import catalogue
from finewave.studies.definitions.definition import Row, Study
from tests.training.small_jssunet import SMALL

CROPS = Protocol("tiny", "For tests.", {"kernel": "gaussian"}, 16, "jssunet", ("psnr", "ssim", "sam", "ergas_4"))
STUDY = Study(
    "tiny",
    "A study for tests",
    "nobody, table 0",
    "tiny",
    (
        Row("floor", "bicubic + quadratic", "sr-ssr", options={"sr": "bicubic", "ssr": "quadratic"}),
        Row("none", "no clusters", "jssunet", "jssunet", (*SMALL, "model.clusters=none", "model.post=false")),
        Row("without", "learned, without post", "jssunet", "jssunet", SMALL, post=False),
        Row("with", "learned, with post", "jssunet", "jssunet", SMALL),
    ),
)


def register() -> None:
    """Add study and protocol."""
    catalogue.STUDIES["tiny"] = STUDY
    PROTOCOLS["tiny"] = CROPS
