"""Types shared by all packages: kinds of images, and tasks with their inputs and output."""

from __future__ import annotations

from typing import Literal, NamedTuple

ImageKind = Literal["lr_msi", "hr_msi", "lr_hsi", "hr_hsi", "ref_rgb"]
"""Low or high resolution, multispectral or hyperspectral; or a reference RGB of another viewpoint, not aligned."""

Task = Literal["sssr", "sr", "ssr", "fusion", "refsr"]

CropSampling = Literal["random", "grid", "area"]
"""Where training crops are cut, see `finewave.datasets.patches.Crops`."""


class TaskImages(NamedTuple):
    """A task's inputs, in the order of a network's ``forward``, and its output."""

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
"""Other images that a task's networks accept or return, with the name that the networks use for them.

Spatial super-resolution also works on multispectral images, and spectral super-resolution on LR images.
"""
