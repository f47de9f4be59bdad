"""Options of a recipe; those of its phases are in `finewave.training.configuration.phase_options`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from finewave.errors import InputError
from finewave.physics.degradation import ANISOTROPIC, KERNELS
from finewave.physics.degradation import SAMPLINGS as DECIMATIONS
from finewave.text.sections import Section, option
from finewave.types import CropSampling


@dataclass
class CropOptions:
    """Options of the crops, see `finewave.datasets.patches.Crops`; phases may override them."""

    crop: int = option(least=1)
    sampling: str = option(choices=get_args(CropSampling))
    augment: bool = option()
    gain: list[float] = option(above=0, length=2)
    mix: float = option(least=0, most=1)
    batch_size: int = option(least=1)


@dataclass
class DegradationOptions(Section):
    """Keyword arguments of `finewave.physics.degradation.degrade`."""

    kernel: str = option(choices=(*KERNELS, ANISOTROPIC))
    fwhm: float | None = option(required=False, above=0)
    mtf: float | None = option(required=False, above=0, below=1)
    size: int = option(required=False, least=1)
    variances: list[float] = option(required=False, above=0, length=2)
    angle: float = option(required=False)
    sampling: str = option(required=False, choices=DECIMATIONS)
    centred: bool = option(required=False)
    noise: float = option(required=False, least=0)
    clip: bool = option(required=False)
    seed: int | None = option(required=False, least=0)

    @staticmethod
    def check(values: Mapping[str, Any], prefix: str) -> None:
        """Refuse a kernel without a pixel in its middle, and two widths."""
        if values.get("size", 1) % 2 == 0:
            raise InputError(f"{prefix}size={values['size']} is out of range; it must be odd")
        if values.get("fwhm") is not None and values.get("mtf") is not None:
            raise InputError(f"{prefix}fwhm and {prefix}mtf both say how wide the blur is; give one of them")


@dataclass
class ReferenceOptions:
    """The synthetic second view, see `finewave.datasets.synthetic_views`."""

    parallax: float = option(required=False, least=0)
    shift: float = option(required=False, least=0)
    roll: float = option(required=False, least=0)
    layers: int = option(required=False, least=1)
    colour: float = option(required=False, least=0, below=1)


@dataclass
class DataOptions(CropOptions):
    """The data set, how its scenes are observed, and how crops are drawn from them."""

    dataset: str = option()
    store: str | None = option()
    sensor: str | None = option()
    degradation: DegradationOptions = option()
    msi: str | None = option(required=False)
    blind: bool = option(required=False)
    roll: bool = option(required=False)
    reference: ReferenceOptions | None = option(required=False)


@dataclass
class ModelOptions:
    """The keys of ``model`` that any recipe has; the others are options of the system's constructor."""

    system: str = option()
    scale: int = option(least=1)
    ms_bands: int | None = option(required=False, least=1)
    hs_bands: int | None = option(required=False, least=1)


@dataclass
class RecipeOptions:
    """The keys outside the phases."""

    name: str = option()
    out: str = option()
    seed: int = option(least=0, most=2**32 - 1)
    init_from: str | None = option()
    data: DataOptions = option()
    model: ModelOptions = option()
