"""How published systems are evaluated, as objects that a table names and prints.

Besides data and split, a protocol fixes everything needed to compare two results: how the low-resolution images are
made, on which images and by which convention the metrics are computed, and how they are averaged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from finewave.errors import unknown_name


@dataclass(frozen=True)
class Protocol:
    """An evaluation protocol.

    Parameters
    ----------
    name : str
        Key in `PROTOCOLS`.
    source : str
        Publication or code that it follows, and where finewave had to choose.
    degradation : mapping
        Keyword arguments of `finewave.physics.degradation.degrade` that make the LR images from whole scenes.
    crop : int or None
        Side in HR pixels of the non-overlapping crops that networks see and metrics are computed on, cut from the
        degraded scene; None for whole scenes. Remainders at the lower and right border are not used.
    convention : str
        Of `finewave.metrics.conventions`.
    metrics : tuple of str
        Metrics of its tables, in order; names of `finewave.metrics.METRICS`. The first one ranks.
    sensor : str or None
        Camera that makes the multispectral images; None: that of the data set.
    """

    name: str
    source: str
    degradation: Mapping[str, Any]
    crop: int | None
    convention: str
    metrics: tuple[str, ...]
    sensor: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the settings that affect the numbers, in JSON types, without descriptions."""
        facts = asdict(self)
        facts.pop("source")
        facts.pop("metrics")  # all metrics are computed; these are shown
        if self.sensor is None:  # belongs to the data set, stored separately
            facts.pop("sensor")
        return {**facts, "degradation": dict(self.degradation)}

    @property
    def text(self) -> str:
        """Note under each table."""
        images = "whole scenes" if self.crop is None else f"non-overlapping {self.crop} x {self.crop} crops"
        blur = ", ".join(f"{key} {value}" for key, value in self.degradation.items())
        camera = f"; MS images by the camera {self.sensor}" if self.sensor else ""
        return (
            f"protocol {self.name}: LR images by {blur}{camera}; metrics on {images}, "
            f"convention {self.convention}, mean over "
            f"images. {self.source}"
        )


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "finewave",
            "finewave's own: Gaussian of FWHM s.",
            {"kernel": "gaussian"},
            None,
            "finewave",
            ("psnr", "ssim", "sam", "ergas"),
        ),
        Protocol(
            "jssunet",
            "arXiv 2505.24605 and its public code: crops of section V-A, ERGAS with ratio 4 at every scale. Its blur "
            "is not published; finewave's Gaussian of FWHM s stands in.",
            {"kernel": "gaussian"},
            128,
            "jssunet",
            ("psnr", "ssim", "sam", "ergas_4"),
        ),
        Protocol(
            "sspsr",
            "arXiv 2005.08752 and its public code: MATLAB's imresize, whole images, metrics band by band.",
            {"kernel": "bicubic"},
            None,
            "sspsr",
            ("psnr", "ssim", "sam", "rmse", "ergas", "cc"),
        ),
        Protocol(
            "mulsr",
            "IEEE TGRS 2023 and its public code: Gaussian of 13 x 13 with variances 10 along x and 2 along y, centred "
            "on the LR pixels (there displaced), then bicubic; noise of variance 0.001 (its code: 3/255); the Nikon "
            "D700 response of its code.",
            {
                "kernel": "anisotropic-gaussian",
                "size": 13,
                "variances": [2.0, 10.0],
                "angle": 1.5707963,
                "noise": 0.031623,
                "clip": True,
            },
            None,
            "mulsr",
            ("psnr", "ssim", "sam", "rmse"),
            "nikon-d700",
        ),
        Protocol(
            "ssc-hsr",
            "arXiv 2505.02109 and its public code for the metrics; SAM in degrees (there radians). Its 8 x 8 blur "
            "displaces the LR image by (s - 2) / 2 pixels; finewave's Gaussian of FWHM s stands in. References are "
            "synthetic views.",
            {"kernel": "gaussian"},
            None,
            "ssc-hsr",
            ("psnr", "ssim", "sam"),
        ),
    )
}


def get_protocol(name: str) -> Protocol:
    """Return a protocol by name; an unknown one is an `InputError` that names the nearest."""
    if name not in PROTOCOLS:
        raise unknown_name("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]
