"""Images of whole scenes, for scoring and for fitting baselines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from finewave.datasets.patches import DegradedScene, Sample
from finewave.datasets.registry import SceneSource
from finewave.datasets.synthetic_views import scene_with_reference

REFERENCE = "ref_rgb"  # of a dataset of pairs, the measured one


@dataclass(frozen=True)
class WholeScenes:
    """Scenes of a data set with their degraded versions.

    Attributes
    ----------
    source : SceneSource
        Where they are read.
    response : ndarray (c, C)
        Response of the sensor; not needed for measured multispectral images.
    scale : int
        s.
    degradation : dict
        Keyword arguments of `degrade`.
    msi : str, optional
        Companion with measured multispectral images.
    reference : mapping, optional
        Options of `finewave.datasets.synthetic_views.scene_with_reference`: adds the RGB reference, ``ref_rgb``
        (1, 3, H, W) in [0, 1]. If the data set has a reference, it is used; it is stored in bytes.
    """

    source: SceneSource
    response: np.ndarray
    scale: int
    degradation: dict[str, Any]
    msi: str | None = None
    reference: Mapping[str, Any] | None = None

    def sample(self, name: str) -> Sample:
        """Return a scene as a batch of one, see `finewave.datasets.patches.Crops`."""
        source = self.source
        msi = None if self.msi is None else source.read(name, self.msi)
        scene = DegradedScene(name, source.read(name), source.full_scale(name), self.scale, self.degradation, msi)
        whole = scene.whole(self.response)
        if self.reference is None:
            return whole
        if REFERENCE not in source.companions:
            return scene_with_reference(whole, name, **self.reference)
        _, _, height, width = whole["hr_hsi"].shape
        rgb = source.read(name, REFERENCE)[:, :height, :width]
        return {**whole, REFERENCE: torch.from_numpy(rgb.astype(np.float32) / 255)[None]}

    def samples(self, names: Iterable[str]) -> Iterator[tuple[str, Sample]]:
        """Yield scenes with their names."""
        return ((name, self.sample(name)) for name in names)
