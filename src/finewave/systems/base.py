"""The contract between networks and those who build, train, run, export and draw them without knowing which one it is.

A network derives from `SRNetwork` and states what differs from the defaults here; everybody else reads
`SRNetwork.description` or calls the methods below, and asks no network for anything that does not stand here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from finewave.types import TASKS, ImageKind, Task


@dataclass(frozen=True)
class Description:
    """What a network is to those who run it.

    Attributes
    ----------
    task : str
        One of `finewave.types.TASKS`.
    inputs : tuple of str
        Names of the images that ``forward`` takes, in its order.
    output : str
        Name of the image that it returns.
    scale : int
        s, the ratio between high and low resolution; 1 for ``ssr``.
    scales : tuple of int
        Every ratio of the sizes of its inputs that it serves; of most networks ``(scale,)``.
    ms_bands, hs_bands : int or None
        c and C; None where the network takes any number.
    size_multiple : int
        Multiple that height and width of its first input must be of.
    receptive_field : int or None
        Distance in pixels of the first input up to which one of its pixels acts on the output, pooling over the image
        apart; None for the whole image.
    n_global_poolings : int
        How many poolings over the image there are, see `SRNetwork.receptive_field_with_pooling`.
    shift_equivariant : bool
        Whether it does the same wherever a part of the image lies, up to `size_multiple`. Without that, tiles cannot
        equal the scene in one piece, whatever the receptive field.
    band_by_band : bool
        Whether each band of the output depends on the same band of its first input alone.
    attention_window : int
        Side in output pixels of the widest window that its attention compares; 0 without.
    mixed_precision : bool
        Whether it may run under bfloat16 autocast without being asked for it: it adds up its output in float32, and
        loses at most 0.01 dB PSNR, 0.0005 SSIM and 0.05 degrees SAM.
    export_multiple : int
        Multiple that heights and widths of an exported network's inputs are of.
    export_fixed : str or None
        Why an exported network takes one size alone; None if it takes any.
    export_lacks : mapping of str to str
        For a format, ``"onnx"`` or ``"pt2"``, why there is none.
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
    shift_equivariant: bool
    band_by_band: bool
    attention_window: int
    mixed_precision: bool
    export_multiple: int
    export_fixed: str | None
    export_lacks: Mapping[str, str]


class SRNetwork(nn.Module):
    """A network of one task. ``forward`` takes the task's inputs by name and, in evaluation mode, returns one tensor.

    What stands here are defaults; a network overrides them by class attributes, attributes of the instance or
    properties, whatever depends on its options. `Description` says what each of them means.

    Attributes
    ----------
    task : str
        One of `finewave.types.TASKS`; every class states it. Inputs and output follow.
    system, config : str and dict, or None
        Name in the registry and constructor arguments, defaults included; set by
        `finewave.systems.registry.create_model`.
    parts : tuple of str
        Names of submodules that are networks of their own and can be trained one by one (compositions).
    """

    task: ClassVar[Task]
    trained: ClassVar[bool] = True
    """False for methods without weights, or whose weights have a closed form: baselines."""

    scale: int = 1
    ms_bands: Any = None  # int or None; a network that counts its bands need not ask whether it does
    hs_bands: Any = None
    size_multiple: int = 1
    receptive_field: int | None = None
    n_global_poolings: int = 0
    shift_equivariant: bool = True
    band_by_band: bool = False
    attention_window: int = 0
    mixed_precision: bool = False
    export_multiple: int = 1
    export_fixed: str | None = None
    export_lacks: Mapping[str, str] = {}
    parts: tuple[str, ...] = ()
    prepares: bool = False
    """Whether `prepare_from` does anything: reading all training scenes takes time."""

    objectives: ClassVar[Mapping[str, str]] = {}
    """Kinds of training phases of the network's own: `finewave.systems.objective.Objective` as ``"module:Class"``."""

    phase_options: ClassVar[Mapping[str, str]] = {}
    """Dataclass with the options of each of these kinds, as ``"module:Class"``; its fields are `finewave.sections`'."""

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
        """What the network is, as it stands."""
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
        """Return `receptive_field` with poolings over windows of so many input pixels a side, in place of the image.

        A network with `n_global_poolings` overrides it; its poolings take windows under
        `finewave.nn.pooling.local_pooling`.
        """
        del window
        return self.receptive_field

    @classmethod
    def skips_phase(cls, kind: str, options: Mapping[str, Any]) -> bool:
        """Return whether a network with these constructor arguments has nothing that phases of this kind train."""
        del kind, options
        return False

    def prepare_from(self, samples: Iterable[Mapping[str, Tensor]], seed: int) -> None:
        """Set what is found once before training from the training scenes (centroids, means, coefficients).

        Parameters
        ----------
        samples : iterable of mappings
            Whole training images by name, (1, bands, rows, columns).
        seed : int
            Of random choices.
        """

    def training_loss(self, batch: Mapping[str, Tensor], done: float) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Return the output for a training batch, and loss terms of the network's own, not yet weighted.

        Parameters
        ----------
        batch : mapping
            Images by name, (B, bands, rows, columns), and the sensor's ``response`` (c, C).
        done : float
            Part of the phase that is done, 0 to 1.

        Returns
        -------
        output : Tensor or None
            To which the recipe's image losses apply; None if there is none.
        terms : dict of str to Tensor
            By the names that a recipe weighs; one of the name of an image loss takes its place.
        """
        del done
        return self(**{name: batch[name] for name in self.inputs}), {}

    def estimates(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return every image that the network makes of its inputs, by name; of most the output alone."""
        return {self.output: self(**{name: images[name] for name in self.inputs})}
