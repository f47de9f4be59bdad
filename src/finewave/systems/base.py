"""The interface between networks and the generic code that builds, trains, runs and exports them.

A network derives from `SRNetwork` and overrides the defaults here. Generic code uses `SRNetwork.description` and the
methods below, and nothing else of a network.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from finewave.systems.tile_stages import TileStage
from finewave.types import TASKS, ImageKind, Task


@dataclass(frozen=True)
class Description:
    """Properties of a network that generic code depends on.

    Attributes
    ----------
    task : str
        One of `finewave.types.TASKS`.
    inputs : tuple of str
        Names of the images that ``forward`` takes, in order.
    output : str
        Name of the image that it returns.
    scale : int
        s, the ratio between high and low resolution; 1 for ``ssr``.
    scales : tuple of int
        All supported scales; ``(scale,)`` for most networks.
    ms_bands, hs_bands : int or None
        c and C; None for any number.
    size_multiple : int
        Height and width of the first input must be multiples of it.
    receptive_field : int or None
        Largest distance, in pixels of the first input, at which an input pixel affects the output, apart from global
        pooling; None for the whole image.
    n_global_poolings : int
        Number of global poolings, see `SRNetwork.receptive_field_with_pooling`.
    tile_stages : tuple of TileStage
        Parts that follow each other and need different surroundings of a tile, global pooling apart; one where the
        network has no such parts.
    shift_equivariant : bool
        Whether it is equivariant to shifts by multiples of `size_multiple`. Otherwise a tiled prediction cannot equal
        that of the whole scene, whatever the receptive field.
    band_by_band : bool
        Whether each output band depends only on the same band of the first input.
    attention_window : int
        Side in output pixels of the widest window that its attention compares; 0 without.
    mixed_precision : bool
        Whether bfloat16 autocast is used by default: the network sums its output in float32, and loses at most 0.01 dB
        PSNR, 0.0005 SSIM and 0.05 degrees SAM.
    export_multiple : int
        Multiple that heights and widths of an exported network's inputs are of.
    export_fixed : str or None
        Why an exported network has a fixed input size; None if it takes any size.
    export_lacks : mapping of str to str
        For each unsupported format, ``"onnx"`` or ``"pt2"``, the reason.
    """

    task: Task
    inputs: tuple[ImageKind, ...]
    output: ImageKind
    scale: int
    scales: tuple[int, ...]
    ms_bands: int | None
    hs_bands: int | None
    size_multiple: int
    receptive_field: int | None
    n_global_poolings: int
    tile_stages: tuple[TileStage, ...]
    shift_equivariant: bool
    band_by_band: bool
    attention_window: int
    mixed_precision: bool
    export_multiple: int
    export_fixed: str | None
    export_lacks: Mapping[str, str]


class SRNetwork(nn.Module):
    """A network of one task. ``forward`` takes the task's inputs by name and, in evaluation mode, returns one tensor.

    The attributes here are defaults; a network overrides them by class attributes, instance attributes or properties.
    See `Description` for their meaning. An option of a constructor that is out of range is an `InputError`, a
    ``ValueError``, that names it, see `finewave.systems.option_checks`.

    Attributes
    ----------
    task : str
        One of `finewave.types.TASKS`; set by every class. Inputs and output follow from it.
    system, config : str and dict, or None
        Name in the registry and constructor arguments, defaults included; set by
        `finewave.systems.registry.create_model`.
    parts : tuple of str
        Names of submodules that are networks themselves and can be trained separately (compositions).
    """

    task: ClassVar[Task]
    trained: ClassVar[bool] = True
    """False for baselines: methods without weights or with a closed-form fit."""

    scale: int = 1
    ms_bands: Any = None  # int or None
    hs_bands: Any = None
    size_multiple: int = 1
    receptive_field: int | None = None
    n_global_poolings: int = 0
    shift_equivariant: bool = True
    band_by_band: bool = False
    attention_window: int = 0
    mixed_precision: bool = False
    products: float | None = None
    """About how many multiplications it does for a pixel of its first input; None where it does not say."""
    working_memory: int = 2300
    """Bytes for each output pixel that the network needs at most while it runs, apart from its output."""
    export_multiple: int = 1
    export_fixed: str | None = None
    export_lacks: Mapping[str, str] = {}
    any_sensor: bool = False
    """Whether it can be made for any sensor, see `finewave.systems.any_sensor.network.AnySensor.solved_for`."""
    export_largest_tile: int | None = None
    """Side in pixels of the first input from which on an exported network takes gigabytes; None: none is known."""

    parts: tuple[str, ...] = ()
    branch_systems: ClassVar[Mapping[str, str]] = {}
    """Submodules that another system is alone, as its ``branch``: their names by the name of that system."""
    prepares: bool = False
    """Whether `prepare_from` has to be called; it reads all training scenes."""

    objectives: ClassVar[Mapping[str, str]] = {}
    """The network's own kinds of training phases: `finewave.systems.objective.Objective` as ``"module:Class"``."""

    phase_options: ClassVar[Mapping[str, str]] = {}
    """Dataclass with the options of each kind, as ``"module:Class"``; its fields are `finewave.text.sections`'."""

    system: str | None = None
    config: Mapping[str, Any] | None = None

    @property
    def inputs(self) -> tuple[ImageKind, ...]:
        """Names of the inputs, see `Description`."""
        return TASKS[self.task].inputs

    @property
    def output(self) -> ImageKind:
        """Name of the output, see `Description`."""
        return TASKS[self.task].output

    @property
    def scales(self) -> tuple[int, ...]:
        """Every ratio of the sizes of its inputs that it serves."""
        return (self.scale,)

    @property
    def description(self) -> Description:
        """The network's current properties."""
        return Description(
            task=self.task,
            inputs=self.inputs,
            output=self.output,
            scale=self.scale,
            scales=tuple(self.scales),
            ms_bands=self.ms_bands,
            hs_bands=self.hs_bands,
            size_multiple=self.size_multiple,
            receptive_field=self.receptive_field,
            n_global_poolings=self.n_global_poolings,
            tile_stages=self.tile_stages(),
            shift_equivariant=self.shift_equivariant,
            band_by_band=self.band_by_band,
            attention_window=self.attention_window,
            mixed_precision=self.mixed_precision,
            export_multiple=self.export_multiple,
            export_fixed=self.export_fixed,
            export_lacks=self.export_lacks,
        )

    def part(self, name: str) -> SRNetwork:
        """Return the network of one of `parts`."""
        net = self.get_submodule(name)
        assert isinstance(net, SRNetwork)
        return net

    def receptive_field_with_pooling(self, window: int) -> int | None:
        """Return `receptive_field` with pooling over windows of a given side, in pixels of the first input.

        Networks with `n_global_poolings` override it; their poolings use windows under
        `finewave.nn.pooling.local_pooling`.
        """
        del window
        return self.receptive_field

    def tile_stages(self, window: int = 0) -> tuple[TileStage, ...]:
        """Return the parts of the network that follow each other and need ever less around a tile.

        Parameters
        ----------
        window : int
            That of `receptive_field_with_pooling`.

        Returns
        -------
        tuple of TileStage
            One, the whole network, where it has no such parts. Shares sum to 1.
        """
        return (TileStage("network", self.receptive_field_with_pooling(window), 1.0),)

    def run_tile_stage(self, name: str, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run one of `tile_stages`.

        Parameters
        ----------
        name : str
        images : mapping of str to Tensor
            Inputs, and what the stages before have made, by name, all of one part of the scene.

        Returns
        -------
        dict of str to Tensor
            What later stages need, by name; of the last stage the output.
        """
        assert name == "network", "a network with other stages overrides this"
        return {self.output: self(**{each: images[each] for each in self.inputs})}

    def halos_from(self, halos: Mapping[str, int], changed: Collection[str]) -> dict[str, int] | None:
        """Return measured halos of the same weights before options were changed, by stage, as those of this network.

        None where nothing is known of them.
        """
        del halos, changed
        return None

    @classmethod
    def skips_phase(cls, kind: str, options: Mapping[str, Any]) -> bool:
        """Return whether phases of this kind train nothing in a network with these constructor arguments."""
        del kind, options
        return False

    def prepare_from(self, samples: Iterable[Mapping[str, Tensor]], seed: int) -> None:
        """Set what is computed from the training scenes once before training (centroids, means, coefficients).

        Parameters
        ----------
        samples : iterable of mappings
            Whole training images by name, (1, bands, rows, columns).
        seed : int
            Of random choices.
        """

    def training_loss(self, batch: Mapping[str, Tensor], done: float) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Return the output for a training batch, and the network's own unweighted loss terms.

        Parameters
        ----------
        batch : mapping
            Images by name, (B, bands, rows, columns), and the sensor's ``response`` (c, C).
        done : float
            Part of the phase that is done, 0 to 1.

        Returns
        -------
        output : Tensor or None
            Output for the recipe's image losses; None if there is none.
        terms : dict of str to Tensor
            Terms by the names used for weights in recipes; a term named like an image loss replaces it.
        """
        del done
        return self(**{name: batch[name] for name in self.inputs}), {}

    def estimates(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return all images that the network computes, by name; for most networks only the output."""
        return {self.output: self(**{name: images[name] for name in self.inputs})}
