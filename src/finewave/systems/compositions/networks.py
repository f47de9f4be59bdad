"""Joint super-resolution as a chain of systems for single tasks.

The comparisons of arXiv 2505.24605, section V, compose a spatial (`sr`) and a spectral (`ssr`) network, in either
order, or in parallel followed by a fusion network. Each composition is one network: one folder, one card.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from finewave.errors import InputError, unknown_name
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least
from finewave.systems.registry import SYSTEMS, create_model, options_of, system_named
from finewave.systems.tile_stages import TileStage

PROTOCOL = ("scale", "ms_bands", "hs_bands")
"""Options of a part that follow from the composition."""


class Step(NamedTuple):
    """A part's inputs, by its own names, and its output."""

    part: str
    reads: dict[str, str]
    makes: str


class Composition(SRNetwork):
    """Parts in sequence; each is a network of one task, with its own input names.

    Parameters
    ----------
    scale : int
        s >= 2, of the composition.
    ms_bands, hs_bands : int
        c and C.
    parts : dict of str to (str, dict or None)
        For each part, the name of its system and options for `create_model`, without scale and band counts.

    Raises
    ------
    InputError
        A ``ValueError``, if a value is out of range, a part's system has another task, or an option does not exist.
    """

    task = "sssr"
    steps: ClassVar[tuple[Step, ...]] = ()

    def __init__(
        self, scale: int, ms_bands: int, hs_bands: int, parts: dict[str, tuple[str, dict[str, Any] | None]]
    ) -> None:
        super().__init__()
        at_least(self.name(), 2, scale=scale)
        at_least(self.name(), 1, ms_bands=ms_bands, hs_bands=hs_bands)
        self.scale, self.ms_bands, self.hs_bands = scale, ms_bands, hs_bands
        for step in self.steps:
            self.add_module(step.part, self._build(step, *parts[step.part]))

    def _build(self, step: Step, system: str, options: dict[str, Any] | None) -> nn.Module:
        task = system_named(system).task
        if task != step.part:
            raise InputError(
                f"{self.name()}: {step.part}={system!r} is a system for {task}; one for {step.part} is needed"
            )
        options = {} if options is None else options
        if not isinstance(options, Mapping):
            raise InputError(f"{self.name()}: {step.part}_options={options!r} is not a mapping of options to values")
        for key in PROTOCOL:
            if key in options:
                raise InputError(f"{self.name()}: {step.part}_options has {key}, which follows from the composition")
        return create_model(system, **options, **self.protocol_of(step.part, system))

    @classmethod
    def name(cls) -> str:
        """Name in the registry, for messages."""
        return next((name for name, s in SYSTEMS.items() if s.home.endswith(f":{cls.__name__}")), cls.__name__)

    @classmethod
    def step_of(cls, part: str) -> Step:
        """Return the step of a part."""
        for step in cls.steps:
            if step.part == part:
                return step
        raise unknown_name(f"part of {cls.name()}", part, (step.part for step in cls.steps))

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts in the order of the work."""
        return tuple(step.part for step in self.steps)

    @property
    def prepares(self) -> bool:
        """Whether a part does."""
        return any(self.part(part).prepares for part in self.parts)

    def protocol_of(self, part: str, system: str) -> dict[str, int]:
        """Return scale and band counts of a part, if its system has options for them."""
        step = self.step_of(part)
        images = {**step.reads, "hr_hsi": step.makes}  # every part's own name for its output is hr_hsi
        values = {"scale": self.scale}
        for own, image in images.items():
            values["ms_bands" if own.endswith("msi") else "hs_bands"] = (
                self.ms_bands if image.endswith("msi") else self.hs_bands
            )
        known = options_of(system)
        return {key: value for key, value in values.items() if key in known}

    @property
    def size_multiple(self) -> int:
        """Multiple that height and width of the LR-MSI must be of."""
        return self._common_multiple("size_multiple")

    def _common_multiple(self, attribute: str) -> int:
        multiples = [1]
        for step in self.steps:
            own = int(getattr(self.get_submodule(step.part), attribute))
            multiples.append(own if self._reads_low(step) else own // math.gcd(own, self.scale))
        return math.lcm(*multiples)

    @property
    def export_multiple(self) -> int:
        """See `finewave.zoo.exports.export`; as `size_multiple`."""
        return self._common_multiple("export_multiple")

    @property
    def export_fixed(self) -> str | None:
        """See `finewave.zoo.exports.export`: the first part's reason, if any."""
        reasons = ((part, self.part(part).export_fixed) for part in self.parts)
        return next((f"{part}: {reason}" for part, reason in reasons if reason), None)

    @property
    def export_lacks(self) -> dict[str, str]:
        """See `finewave.zoo.exports.export`: formats that any part lacks."""
        every = [(part, self.part(part).export_lacks) for part in reversed(self.parts)]
        return {kind: f"{part}: {reason}" for part, lacks in every for kind, reason in lacks.items()}

    @property
    def receptive_field(self) -> int | None:
        """Largest distance in LR pixels at which an input pixel affects an output pixel; None for the whole image."""
        return self.receptive_field_with_pooling(0)

    @property
    def shift_equivariant(self) -> bool:
        """Whether all parts are shift-equivariant."""
        return all(self.part(part).shift_equivariant for part in self.parts)

    @property
    def n_global_poolings(self) -> int:
        """Number of global poolings in all parts."""
        return sum(self.part(part).n_global_poolings for part in self.parts)

    def receptive_field_with_pooling(self, window: int) -> int | None:
        """Return `receptive_field` with channel pooling over windows of the given side in LR pixels."""
        reach = {"lr_msi": 0}
        for step in self.steps:
            net, s = self.part(step.part), 1 if self._reads_low(step) else self.scale
            own = net.receptive_field_with_pooling(s * window)
            if own is None:
                return None
            reach[step.makes] = -(-own // s) + max(reach[image] for image in step.reads.values())
        return reach[self.output]

    def tile_stages(self, window: int = 0) -> tuple[TileStage, ...]:
        """Return the parts, if each says how much it does; they follow each other, with ever less around a tile."""
        every = [self.part(step.part).products for step in self.steps]
        work = [each for each in every if each is not None]
        reach = self.receptive_field_with_pooling(window)
        if reach is None or len(work) < len(every):
            return super().tile_stages(window)
        beyond: dict[str, int] = {self.output: 0}  # how far around a tile an image is needed, in LR pixels
        stages = []
        for step, products in zip(reversed(self.steps), reversed(work), strict=True):
            s = 1 if self._reads_low(step) else self.scale
            own = self.part(step.part).receptive_field_with_pooling(s * window)
            assert own is not None
            halo = beyond[step.makes] + -(-own // s)
            beyond |= {image: max(halo, beyond.get(image, 0)) for image in step.reads.values()}
            stages.append((step.part, halo, products * s * s))
        whole = sum(amount for _, _, amount in stages)
        found = [TileStage(part, halo, amount / whole) for part, halo, amount in reversed(stages)]
        return tuple(sorted(found, key=lambda stage: -(stage.halo or 0)))

    def run_tile_stage(self, name: str, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run a part, see `SRNetwork.run_tile_stage`."""
        if name not in self.parts:
            return super().run_tile_stage(name, images)
        step = self.step_of(name)
        return {step.makes: self.part(name)(**{own: images[image] for own, image in step.reads.items()})}

    @staticmethod
    def _reads_low(step: Step) -> bool:
        return next(iter(step.reads.values())).startswith("lr_")

    def forward(self, lr_msi: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, s h, s w) of ``lr_msi`` (B, c, h, w)."""
        return self.estimates({"lr_msi": lr_msi})[self.output]

    def estimates(self, images: Mapping[str, Tensor], before: str | None = None) -> dict[str, Tensor]:
        """Return the image that each part makes, by name; only of the parts before ``before``, if given."""
        known = {"lr_msi": images["lr_msi"]}
        for step in self.steps:
            if step.part == before:
                break
            known[step.makes] = self.part(step.part)(**{own: known[image] for own, image in step.reads.items()})
        return known

    def batch_of(self, part: str, images: Mapping[str, Tensor], estimates: bool) -> dict[str, Tensor]:
        """Return a part's training images by its own names: its inputs and its target, ``hr_hsi``.

        Parameters
        ----------
        part : str
            ``"sr"``, ``"ssr"`` or ``"fusion"``.
        images : mapping of str to Tensor
            ``lr_msi`` and the true images.
        estimates : bool
            Use the outputs of the preceding parts as inputs, without gradients, instead of the true images.
        """
        step = self.step_of(part)
        known = dict(images)
        if estimates:
            earlier = [self.part(other.part) for other in self.steps[: self.steps.index(step)]]
            training = [net.training for net in earlier]
            for net in earlier:
                net.eval()
            with torch.no_grad():
                known.update(self.estimates(images, before=part))
            for net, mode in zip(earlier, training, strict=True):
                net.train(mode)
        return {**{own: known[image] for own, image in step.reads.items()}, "hr_hsi": images[step.makes]}

    def prepare_from(self, samples: Any, seed: int) -> None:
        """Prepare each part that needs it; see `finewave.training.trainer.build_network`.

        A part whose MSI is an estimate finds the true one as ``true_msi``.
        """
        unprepared = [part for part in self.parts if self.part(part).prepares]
        kept = list(samples) if len(unprepared) > 1 else samples
        for part in unprepared:
            self.part(part).prepare_from((self._training_images(part, sample) for sample in kept), seed)

    def _training_images(self, part: str, sample: Mapping[str, Tensor]) -> dict[str, Tensor]:
        made = self.batch_of(part, sample, estimates=True)
        return {**made, "true_msi": sample["hr_msi"]} if "hr_msi" in made and "hr_msi" in sample else made


class SRThenSSR(Composition):
    """``sr-ssr``: spatial super-resolution of the LR-MSI, then spectral super-resolution of every HR pixel.

    Parameters
    ----------
    scale, ms_bands, hs_bands : int
        s, c and C.
    sr, ssr : str
        Systems of the parts; the publication's are SSPSR and AWAN.
    sr_options, ssr_options : dict, optional
        Their options.
    """

    steps = (
        Step("sr", {"lr_hsi": "lr_msi"}, "hr_msi"),
        Step("ssr", {"hr_msi": "hr_msi"}, "hr_hsi"),
    )

    def __init__(
        self,
        scale: int = 4,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        sr: str = "sspsr",
        ssr: str = "awan",
        sr_options: dict[str, Any] | None = None,
        ssr_options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(scale, ms_bands, hs_bands, {"sr": (sr, sr_options), "ssr": (ssr, ssr_options)})


class SSRThenSR(Composition):
    """``ssr-sr``: spectral, then spatial super-resolution; parameters of `SRThenSSR`."""

    steps = (
        Step("ssr", {"hr_msi": "lr_msi"}, "lr_hsi"),
        Step("sr", {"lr_hsi": "lr_hsi"}, "hr_hsi"),
    )

    def __init__(
        self,
        scale: int = 4,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        ssr: str = "awan",
        sr: str = "sspsr",
        ssr_options: dict[str, Any] | None = None,
        sr_options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(scale, ms_bands, hs_bands, {"sr": (sr, sr_options), "ssr": (ssr, ssr_options)})


class SRAndSSRThenFusion(Composition):
    """``sr-ssr-fusion``: HR-MSI and LR-HSI side by side from the LR-MSI, then fused.

    Parameters
    ----------
    scale, ms_bands, hs_bands : int
        s, c and C.
    sr, ssr, fusion : str
        Systems of the parts; the publication's are SSPSR, AWAN and Fusformer.
    sr_options, ssr_options, fusion_options : dict, optional
        Their options.
    """

    steps = (
        Step("sr", {"lr_hsi": "lr_msi"}, "hr_msi"),
        Step("ssr", {"hr_msi": "lr_msi"}, "lr_hsi"),
        Step("fusion", {"lr_hsi": "lr_hsi", "hr_msi": "hr_msi"}, "hr_hsi"),
    )

    def __init__(
        self,
        scale: int = 4,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        sr: str = "sspsr",
        ssr: str = "awan",
        fusion: str = "fusformer",
        sr_options: dict[str, Any] | None = None,
        ssr_options: dict[str, Any] | None = None,
        fusion_options: dict[str, Any] | None = None,
    ) -> None:
        parts = {"sr": (sr, sr_options), "ssr": (ssr, ssr_options), "fusion": (fusion, fusion_options)}
        super().__init__(scale, ms_bands, hs_bands, parts)
