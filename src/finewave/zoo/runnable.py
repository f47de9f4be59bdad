"""What prediction needs to know of a model, however its network is run: by PyTorch, or exported by another program."""

from __future__ import annotations

import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.systems.tile_stages import Margins, TileStage
from finewave.types import OTHER_NAMES
from finewave.warnings import FinewaveWarning
from finewave.zoo.card import Card
from finewave.zoo.seen import SeenPixels

if TYPE_CHECKING:
    from finewave.zoo.model import Model

USUAL_CROP = 128
"""Default side of training crops in output pixels, if a card does not state it: that of arXiv 2505.24605, section V."""


class RunnableModel(ABC):
    """A network and its card, ready to run on arrays.

    Attributes
    ----------
    card : Card or None
    name : str
        For messages.
    task : str
    inputs : tuple of str
        Names of the images that it takes, in order.
    output : str
    size_multiple : int
        Height and width of the first input must be multiples of it.
    pooling : {"image", "local"}
        Region of the means in channel attention, see `finewave.Model`.
    precision : {"auto", "float32", "bfloat16"}
    largest_tile : int
        Side in pixels of the first input of the largest tile that is cut without being asked for.
    """

    card: Card | None
    name: str
    task: str
    inputs: tuple[str, ...]
    output: str
    size_multiple: int
    pooling: str
    precision: str
    largest_tile: int = sys.maxsize

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}: {', '.join(self.inputs)} -> {self.output}, scale {self.scale})"

    @property
    def data_facts(self) -> Mapping[str, Any]:
        """The card's facts about the training data; empty without a card."""
        return (self.card.data if self.card is not None else None) or {}

    @cached_property
    def seen(self) -> SeenPixels | None:
        """Distribution of the training pixels of its first input; None if the card lacks it."""
        stored = self.data_facts.get("seen")
        return None if stored is None else SeenPixels.from_card(stored)

    @property
    @abstractmethod
    def scale(self) -> int:
        """Ratio s between HR and LR images."""

    @property
    def upscaling(self) -> int:
        """Output pixels per pixel of the first input along an axis: s or 1."""
        return self.scale if self.output.startswith("hr_") and self.inputs[0].startswith("lr_") else 1

    @property
    @abstractmethod
    def receptive_field(self) -> int | None:
        """Largest distance in input pixels at which a pixel affects the output; None for the whole image.

        Without global pooling, see `reach`.
        """

    @property
    @abstractmethod
    def n_global_poolings(self) -> int:
        """Number of global poolings of the network."""

    @property
    def pooling_window(self) -> int:
        """Side in input pixels of the windows of ``pooling="local"``: the training crop's, by the card."""
        crop = self.card.training_crop if self.card is not None else None
        return max(1, (crop or USUAL_CROP) // self.upscaling)

    @property
    @abstractmethod
    def reach(self) -> int | None:
        """`receptive_field` with the windows of local pooling; None for the whole image."""

    @property
    def tile_stages(self) -> tuple[TileStage, ...]:
        """Stages of the network with decreasing halos, see `finewave.systems.tile_stages`; one without `reach`."""
        return (TileStage("network", self.reach, 1.0),)

    @property
    def measured_halos(self) -> list[int] | None:
        """Measured sufficient halo of each of `tile_stages`, from the card; see `Card`.

        None if the card lacks it, or with another pooling than in the measurement.
        """
        halos = None if self.card is None else self.card.halos
        names = [stage.name for stage in self.tile_stages]
        if not halos or set(halos) != set(names) or (self.n_global_poolings and self.pooling != "local"):
            return None
        return [halos[name] for name in names]

    @property
    @abstractmethod
    def shift_equivariant(self) -> bool:
        """Whether the network is equivariant to shifts by multiples of `size_multiple`.

        Otherwise tiled and untiled prediction differ, whatever the receptive field.
        """

    @property
    def looks_at_its_images(self) -> bool:
        """Whether its network inverts a blur that two images can contradict, or can estimate their noise."""
        return False

    @property
    def any_sensor(self) -> bool:
        """Whether it can be made for any sensor, see `finewave.zoo.any_sensor.for_sensor`."""
        return False

    @property
    @abstractmethod
    def band_by_band(self) -> bool:
        """Whether each band of the output depends on the same band of the input alone, as bicubic interpolation's."""

    @property
    @abstractmethod
    def ms_bands(self) -> int | None:
        """Number of multispectral bands; None if the network does not state it."""

    @property
    @abstractmethod
    def hs_bands(self) -> int | None:
        """Number of hyperspectral bands; None if the network does not state it."""

    @property
    @abstractmethod
    def attention_window(self) -> int:
        """Side in output pixels of the widest window that its attention compares; 0 without."""

    @property
    @abstractmethod
    def working_memory(self) -> int:
        """Bytes that it needs for each output pixel that it sees."""

    @property
    @abstractmethod
    def arithmetic(self) -> str:
        """Precision of inner features on this machine: ``"bfloat16"``, or the network's dtype."""

    @property
    def device(self) -> str:
        """Kind of device that the network runs on, ``"cpu"`` for instance."""
        return "cpu"

    def bands_of(self, name: str) -> int | None:
        """Return the number of bands of ``"lr_msi"``, ``"hr_hsi"``, ...; None if the network does not state it."""
        name = OTHER_NAMES.get(self.task, {}).get(name, name)
        if name == "ref_rgb":
            return 3
        return self.ms_bands if name.endswith("msi") else self.hs_bands

    @abstractmethod
    def run_arrays(
        self, images: Mapping[str, NDArray[np.float32]], margins: Sequence[Margins] = ()
    ) -> NDArray[np.float32]:
        """Run the network on valid, finite images (c, h, w) by name, and return its output (C, H, W).

        ``margins`` is what each of `tile_stages` does not need; the output lacks the last ones.
        """

    def with_resolved_precision(self) -> Self:
        """Return this model with ``precision="auto"`` resolved on this machine, for other processes."""
        return self

    def with_precision(self, precision: str) -> Self:
        """Return this model, on the same network, with another ``precision``."""
        del precision
        return self

    @property
    def tile_pooling(self) -> str:
        """``pooling`` of predictions unless stated otherwise: tiles should not depend on how the scene is cut."""
        return "local"

    def with_pooling(self, pooling: str) -> Self:
        """Return this model, on the same network, with another ``pooling``."""
        del pooling
        return self

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a checksum of the network's values, and of how it was built."""

    def in_pytorch(self, purpose: str) -> Model:
        """Return the model as PyTorch runs it, or raise an `InputError` that names what needs it."""
        raise InputError(
            f"{self.name} is an exported model, which cannot be used with {purpose}: give the model by its name or "
            "folder, which runs in PyTorch"
        )

    def check_size(self, rows: int, columns: int) -> None:
        """Raise an `InputError` if the network does not take images of this size of its first input."""
        del rows, columns  # in PyTorch, any: `size_multiple` is padded

    def warn_of_values(self, name: str, holes: int, pixels: int, dark: bool) -> None:
        """Warn if an input has missing pixels or only zeros."""
        if holes:
            _warn(
                f"{name}: {holes} of {pixels} pixels are NaN or infinite; "
                "they were filled from their nearest neighbours for the network and are NaN in the output; "
                "fill them yourself to have values there"
            )
        if dark:
            _warn(
                f"{name} is zero everywhere; the output is what the network answers to darkness; "
                "check that it is the right image"
            )

    def warn_of_size(self, name: str, rows: int, columns: int) -> None:
        """Warn if an input of this size is smaller than the attention window."""
        window = self.attention_window
        height, width = rows * self.upscaling, columns * self.upscaling
        if min(height, width) < window:
            _warn(
                f"{name} of {rows} x {columns} pixels makes an output of {height} x {width}, smaller than "
                f"the attention window of {window}; much of what the network sees is beyond the border; "
                "take a larger image"
            )


def _warn(message: str) -> None:
    warnings.warn(message, FinewaveWarning, stacklevel=4)
