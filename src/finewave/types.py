"""The words that every room shares: kinds of images, and tasks as what they read and make."""

from __future__ import annotations

from typing import Literal, NamedTuple

ImageKind = Literal["lr_msi", "hr_msi", "lr_hsi", "hr_hsi", "ref_rgb"]
"""Low or high resolution, multispectral or hyperspectral; or a reference RGB of another viewpoint, not aligned."""

Task = Literal["sssr", "sr", "ssr", "fusion", "refsr"]

CropSampling = Literal["random", "grid", "area"]
"""Where training crops are cut, see `finewave.datasets.patches.Crops`."""


class TaskImages(NamedTuple):
    """What a task reads, in the order of a network's ``forward``, and what it makes."""

    inputs: tuple[ImageKind, ...]
    output: ImageKind


TASKS: dict[str, TaskImages] = {
    "sssr": TaskImages(("lr_msi",), "hr_hsi"),
    "sr": TaskImages(("lr_hsi",), "hr_hsi"),
    "ssr": TaskImages(("hr_msi",), "hr_hsi"),
    "fusion": TaskImages(("lr_hsi", "hr_msi"), "hr_hsi"),
    "refsr": TaskImages(("lr_hsi", "ref_rgb"), "hr_hsi"),
}
"""Joint spatio-spectral, spatial, spectral super-resolution, fusion, and super-resolution with a reference."""

OTHER_NAMES: dict[str, dict[str, str]] = {
    "sr": {"lr_msi": "lr_hsi", "hr_msi": "hr_hsi"},
    "ssr": {"lr_msi": "hr_msi", "lr_hsi": "hr_hsi"},
}
"""Images that a task's networks take and make, too, and the name that the networks themselves have for them.

Spatial super-resolution does the same to multispectral images, and spectral super-resolution to small ones.
"""
