"""The mean of several systems of one task, made consistent with the inputs.

Independent errors of the members are smaller in their mean. Consistency with the inputs is then established by
projection, see `finewave.physics.inversion.projection`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from finewave.errors import InputError
from finewave.physics.inversion.forward_operator import ForwardOperator
from finewave.physics.inversion.projection import Constraint, Projection, invert_response
from finewave.physics.inversion.pseudo_inverse import PseudoInverse
from finewave.physics.observation import Observation
from finewave.physics.sensors.estimation import estimate_response
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import require
from finewave.systems.registry import create_model, options_of, system_named

FROM_THE_WHOLE = ("scale", "ms_bands", "hs_bands")
"""Options of a member that follow from the ensemble."""


class Ensemble(SRNetwork):
    """Mean over members, projected on the images consistent with the inputs.

    Parameters
    ----------
    members : sequence of str
        Their systems, two or more of the ensemble's task.
    options : sequence of dict
        Of each, without scale and band counts.
    scale : int
        s, of all that have one.
    ms_bands, hs_bands : int
        c and C.
    consistent : bool
        Without, the mean is the result.
    degradation : dict, optional
        D: keyword arguments of `degrade`; by default its Gaussian. R is found in the weights: `set_response`
        or, in training, `prepare_from`.

    Raises
    ------
    InputError
        A ``ValueError``, if a value is out of range, or a member is of another task or scale.
    """

    response: Tensor

    def __init__(
        self,
        members: Sequence[str],
        options: Sequence[dict[str, Any]],
        scale: int,
        ms_bands: int,
        hs_bands: int,
        consistent: bool,
        degradation: dict[str, Any] | None,
    ) -> None:
        super().__init__()
        who = f"ensemble-{self.task}"
        for key, bands in (("ms_bands", ms_bands), ("hs_bands", hs_bands)):
            if bands < 1:
                raise InputError(f"{who}: {key}={bands} is out of range; it must be >= 1")
        if len(members) < 2:
            raise InputError(f"{who}: members={list(members)!r}; two or more systems are needed")
        if len(options) not in (0, len(members)):
            raise InputError(f"{who}: options for {len(options)} of {len(members)} members; give one for each, or none")
        self.ms_bands, self.hs_bands, self.consistent = ms_bands, hs_bands, consistent
        self.scale = 1 if self.task == "ssr" else scale
        if self.task != "ssr":
            self.observation = Observation(scale, degradation, who)  # refuses what is out of range
            self.spatial = PseudoInverse(self.observation, who) if consistent else None
        whole = {"scale": scale, "ms_bands": ms_bands, "hs_bands": hs_bands}
        for number, (system, own) in enumerate(zip(members, options or [{}] * len(members), strict=True)):
            if system_named(system).task != self.task:
                raise InputError(f"{who}: {system} is a system for {system_named(system).task}")
            known = options_of(system)
            if degradation is not None and "degradation" in known:
                own = {"degradation": degradation, **own}
            net = create_model(system, **{**own, **{key: value for key, value in whole.items() if key in known}})
            if net.scale != self.scale:
                raise InputError(f"{who}: {system} has scale {net.scale}, the ensemble {self.scale}")
            self.add_module(f"member{number}", net)
        if self.task == "sr":
            self.response = torch.empty(0)
        else:
            self.register_buffer("response", (1 + torch.rand(ms_bands, hs_bands)) / (1.5 * hs_bands))

    @property
    def members(self) -> list[SRNetwork]:
        """The member networks."""
        return [net for name, net in self.named_children() if isinstance(net, SRNetwork) and name.startswith("member")]

    def set_response(self, response: Any) -> None:
        """Set R (c, C), the response of the sensor to the bands of the result."""
        with torch.no_grad():
            self.response.copy_(torch.as_tensor(response))

    @property
    def projection(self) -> Projection:
        """The projection on the images consistent with the inputs, by the current response."""
        constraints = []
        for name in reversed(self.inputs):  # the scene last: it is reproduced exactly
            response = inverse = observation = spatial = None
            if name.endswith("msi") and self.task != "sr":
                response = self.response.detach().double().cpu().numpy()
                inverse = invert_response(response, f"ensemble-{self.task}")
            if name.startswith("lr_"):
                observation, spatial = self.observation, self.spatial
            constraints.append(Constraint(ForwardOperator(name, response, observation), inverse, spatial))
        return Projection(tuple(constraints))

    def forward(self, **images: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, H, W) of the task's inputs by name."""
        mean = self.mean_of([net(**images) for net in self.members], images)
        if not self.consistent:
            return mean
        wide = torch.promote_types(mean.dtype, torch.float32)
        return self.projection(mean.to(wide), {name: x.to(wide) for name, x in images.items()}).to(mean.dtype)

    def mean_of(self, results: Sequence[Tensor], images: Mapping[str, Tensor]) -> Tensor:
        """Return the mean of the members' results, (B, C, H, W); of all alike, if the task has no other."""
        del images
        return sum(results[1:], results[0]) / len(results)

    @property
    def prepares(self) -> bool:
        """Whether a member does, or the response has to be found."""
        return self._finds_response or any(net.prepares for net in self.members)

    @property
    def _finds_response(self) -> bool:
        return self.consistent and self.task != "sr"

    def prepare_from(self, samples: Any, seed: int) -> None:
        """Prepare each member that needs it, and estimate R of ``hr_msi`` and ``hr_hsi`` of the training images."""
        kept = list(samples)
        for net in self.members:
            if net.prepares:
                net.prepare_from(kept, seed)
        if self._finds_response:
            pairs = ((each["hr_msi"][0].numpy(), each["hr_hsi"][0].numpy()) for each in kept)
            self.set_response(estimate_response(pairs))

    @property
    def size_multiple(self) -> int:
        """Multiple that height and width of the first input must be of."""
        return math.lcm(*(net.size_multiple for net in self.members))

    @property
    def receptive_field(self) -> int | None:
        """Largest distance in input pixels at which a pixel affects the output; None for the whole image."""
        return self.receptive_field_with_pooling(0)

    def receptive_field_with_pooling(self, window: int) -> int | None:
        """Return `receptive_field` with channel pooling over windows of the given side in input pixels."""
        reaches = [net.receptive_field_with_pooling(window) for net in self.members]
        known = [reach for reach in reaches if reach is not None]
        if len(known) < len(reaches):
            return None
        return max(known) + (self.projection.reach if self.consistent else 0)

    @property
    def products(self) -> float | None:
        """See `SRNetwork`: those of all members."""
        every = [net.products for net in self.members]
        return None if None in every else sum(each for each in every if each is not None)

    @property
    def n_global_poolings(self) -> int:
        """How many poolings over the image the members have."""
        return sum(net.n_global_poolings for net in self.members)

    @property
    def shift_equivariant(self) -> bool:
        """Whether all members are shift-equivariant."""
        return all(net.shift_equivariant for net in self.members)

    @property
    def band_by_band(self) -> bool:
        """Whether each band of the output depends on the same band of the input alone."""
        return self.task == "sr" and all(net.band_by_band for net in self.members)

    @property
    def attention_window(self) -> int:
        """Side in output pixels of the widest window of attention."""
        return max(net.attention_window for net in self.members)

    @property
    def export_multiple(self) -> int:
        """See `finewave.zoo.exports.export`."""
        return math.lcm(*(net.export_multiple for net in self.members))

    @property
    def export_fixed(self) -> str | None:
        """See `finewave.zoo.exports.export`: the reason of the first member that has one."""
        return next((net.export_fixed for net in self.members if net.export_fixed), None)

    @property
    def export_lacks(self) -> Mapping[str, str]:
        """See `finewave.zoo.exports.export`: formats that any member lacks."""
        lacks = {kind: why for net in reversed(self.members) for kind, why in net.export_lacks.items()}
        if self.consistent:
            lacks |= dict.fromkeys(("onnx", "pt2"), "its projection is computed from values of its weights")
        return lacks


class SpectralEnsemble(Ensemble):
    """``ensemble-ssr``; see `Ensemble`.

    A member m counts by its weight, ``weights[m]``, and in dark pixels less: with the mean b over the MS bands of a
    pixel, ``weights[m] b / (b + half_at[m])``. What is fitted to absolute errors has large angles there.

    Parameters
    ----------
    weights : sequence of float
        > 0, of each member; () for all alike.
    half_at : sequence of float
        Brightness, >= 0, at which a member counts half: 0 for the whole weight everywhere, as one has at least; () for
        that of all.
    """

    task = "ssr"

    def __init__(
        self,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        members: Sequence[str] = ("quadratic", "knn"),
        options: Sequence[dict[str, Any]] = (),
        weights: Sequence[float] = (),
        half_at: Sequence[float] = (),
        consistent: bool = True,
    ) -> None:
        super().__init__(members, options, 1, ms_bands, hs_bands, consistent, None)
        who = "ensemble-ssr"
        for name, values in (("weights", weights), ("half_at", half_at)):
            if len(values) not in (0, len(members)):
                raise InputError(f"{who}: {len(values)} {name} for {len(members)} members; give one for each, or none")
        require(who, all(0 < each < math.inf for each in weights), "numbers > 0", weights=list(weights))
        fading = all(0 <= each < math.inf for each in half_at) and (not half_at or 0 in half_at)
        require(who, fading, "numbers >= 0, one of them 0", half_at=list(half_at))
        self.weights = list(weights) or [1.0] * len(members)
        self.half_at = list(half_at) or [0.0] * len(members)

    def mean_of(self, results: Sequence[Tensor], images: Mapping[str, Tensor]) -> Tensor:
        """See `Ensemble.mean_of`."""
        if len({*self.weights}) == 1 and not any(self.half_at):
            return super().mean_of(results, images)
        b = images["hr_msi"].mean(1, keepdim=True).clamp(min=0)
        pairs = zip(self.weights, self.half_at, strict=True)
        shares = [weight * b / (b + half) if half else torch.full_like(b, weight) for weight, half in pairs]
        total = sum((share * each for share, each in zip(shares[1:], results[1:], strict=True)), shares[0] * results[0])
        return total / sum(shares[1:], shares[0])


class SpatialEnsemble(Ensemble):
    """``ensemble-sr``; see `Ensemble`."""

    task = "sr"

    def __init__(
        self,
        scale: int = 4,
        hs_bands: int = 31,
        *,
        members: Sequence[str] = ("bicubic", "ibp"),
        options: Sequence[dict[str, Any]] = (),
        consistent: bool = True,
        degradation: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(members, options, scale, 1, hs_bands, consistent, degradation)
        self.ms_bands = None


class JointEnsemble(Ensemble):
    """``ensemble-sssr``; see `Ensemble`."""

    task = "sssr"

    def __init__(
        self,
        scale: int = 4,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        members: Sequence[str] = ("sr-ssr", "ssr-sr"),
        options: Sequence[dict[str, Any]] = ({"sr": "bicubic", "ssr": "knn"}, {"sr": "bicubic", "ssr": "quadratic"}),
        consistent: bool = True,
        degradation: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(members, options, scale, ms_bands, hs_bands, consistent, degradation)


class FusionEnsemble(Ensemble):
    """``ensemble-fusion``; see `Ensemble`."""

    task = "fusion"

    def __init__(
        self,
        scale: int = 4,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        members: Sequence[str] = ("gsa", "cnmf"),
        options: Sequence[dict[str, Any]] = (),
        consistent: bool = True,
        degradation: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(members, options, scale, ms_bands, hs_bands, consistent, degradation)
