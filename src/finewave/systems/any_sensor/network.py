"""Spectra of the pixels of any sensor: training spectra as a part of the weights, and a closed form on their bands.

What is learned for one sensor is of little use for another, but what it was learned from is not: with the spectra of
the training pixels, and the mean spectra around them, the bands of any sensor are sums, and a regression in closed form
takes seconds. So this network keeps them, and solves it when the sensor is known (`AnySensor.solved_for`). It is
continuous in the spectrum: bands are given by their responses, and results at any wavelengths that the spectra cover.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from finewave.errors import InputError
from finewave.systems.any_sensor.training_spectra import SpectralLibrary
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least, require
from finewave.systems.registry import create_model, options_of, system_named

LINEAR_IN_SPECTRA = ("kernel-ridge", "ridge-knn")
"""Whose result at other wavelengths is that of training on these: the rest makes all bands first."""


class AnySensor(SRNetwork):
    """HR-HSI from HR-MSI of one sensor by another network, and a library by which it is made for other sensors.

    Parameters
    ----------
    ms_bands, hs_bands : int
        c and C.
    ssr : str
        System of the inner network, one in closed form: ``kernel-ridge``, ``scene-ridge``, ``ensemble-ssr``, ...
    ssr_options : dict, optional
        Of it, without band counts.
    windows : sequence of int
        Sides in pixels of the square means that the library has of each pixel's surroundings, odd and >= 3: those that
        the inner network looks at.
    spectra : int
        How many training pixels the library keeps; 0: none, and no other sensor can be served.
    components : int
        Principal components that spectra are stored in, at most as many as they have bands; >= 1.
    bands : int, optional
        How many bands the inner network makes, of which those of the result are sums; by default the result's own.
    """

    task = "ssr"
    output_map: Tensor

    def __init__(
        self,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        ssr: str = "kernel-ridge",
        ssr_options: dict[str, Any] | None = None,
        windows: Sequence[int] = (5, 15),
        spectra: int = 1000,
        components: int = 32,
        bands: int | None = None,
    ) -> None:
        super().__init__()
        at_least("any-sensor", 1, ms_bands=ms_bands, hs_bands=hs_bands, components=components)
        at_least("any-sensor", 0, spectra=spectra)
        require("any-sensor", bands is None or bands >= 1, ">= 1", bands=bands)
        odd = all(side >= 3 and side % 2 == 1 for side in windows)
        require("any-sensor", odd, "odd numbers >= 3", windows=list(windows))
        if system_named(ssr).task != "ssr":
            raise InputError(f"any-sensor: {ssr} is a system for {system_named(ssr).task}, not ssr")
        self.ms_bands, self.hs_bands = ms_bands, hs_bands
        self.ssr, self.ssr_options = ssr, dict(ssr_options or {})
        inner = bands or hs_bands
        self.inner = create_model(ssr, **self._inner_options(ms_bands, inner))
        if spectra:
            self.library = SpectralLibrary(spectra, inner, windows, min(components, inner))
        if bands is not None:
            self.register_buffer("output_map", torch.full((hs_bands, bands), 1 / bands))

    def _inner_options(self, ms_bands: int, hs_bands: int) -> dict[str, Any]:
        whole = {"ms_bands": ms_bands, "hs_bands": hs_bands, "scale": 1}
        return {**self.ssr_options, **{key: value for key, value in whole.items() if key in options_of(self.ssr)}}

    def forward(self, hr_msi: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, H, W) of ``hr_msi`` (B, c, H, W)."""
        spectra: Tensor = self.inner(hr_msi=hr_msi)
        if not hasattr(self, "output_map"):
            return spectra
        return torch.einsum("kc,bchw->bkhw", self.output_map.to(spectra), spectra)

    @property
    def any_sensor(self) -> bool:
        """Whether it can be made for other sensors."""
        return hasattr(self, "library")

    @property
    def prepares(self) -> bool:
        """Whether it is trained by `prepare_from`."""
        return self.any_sensor

    @torch.no_grad()
    def prepare_from(self, samples: Iterable[Mapping[str, Tensor]], seed: int = 0) -> None:
        """Fill the library, and solve the inner network for the sensor of the samples, whose response is found.

        Parameters
        ----------
        samples : iterable of mappings
            Images ``hr_msi`` (B, c, H, W) and ``hr_hsi`` (B, C, H, W) of one scene each; read once, one at a time.
        seed : int
            Of all draws.
        """
        response = self.library.fill(samples, seed)
        self.inner.prepare_from(self.library.observed(response), seed)

    @torch.no_grad()
    def solved_for(
        self, response: Tensor, output: Tensor | None = None, *, pixels: float = 1.0, seed: int = 0
    ) -> AnySensor:
        """Return the network, without a library, for another sensor.

        Parameters
        ----------
        response : Tensor (c, C)
            R, with C the bands of the library's spectra.
        output : Tensor (B, C), optional
            Bands of the result as sums of those of the spectra; by default these.
        pixels : float
            How many pixels of the images to come stand on one of the library's images along an axis: windows are as
            much wider.
        seed : int
            Of all draws.
        """
        if not self.any_sensor:
            raise InputError("this any-sensor was made for one sensor; take the weights that have the library")
        folded = output is not None and self.ssr in LINEAR_IN_SPECTRA
        mapped = output is not None and not folded
        bands = len(self.library.mean)
        net = create_model(
            "any-sensor",
            ms_bands=len(response),
            hs_bands=bands if output is None else len(output),
            ssr=self.ssr,
            ssr_options=widened(self.ssr, self.ssr_options, pixels),
            windows=list(self.library.windows),
            spectra=0,
            bands=bands if mapped else None,
        )
        assert isinstance(net, AnySensor)
        net.inner.prepare_from(self.library.observed(response, output if folded else None), seed)
        if mapped:
            assert output is not None
            net.output_map.copy_(output)
        return net.eval()

    @property
    def receptive_field(self) -> int | None:
        """See `Description`."""
        return self.inner.receptive_field

    @property
    def shift_equivariant(self) -> bool:
        """See `Description`."""
        return self.inner.shift_equivariant

    @property
    def products(self) -> float | None:
        """See `SRNetwork`."""
        return self.inner.products

    @property
    def export_lacks(self) -> Mapping[str, str]:
        """See `Description`."""
        return self.inner.export_lacks


def widened(system: str, options: Mapping[str, Any], pixels: float) -> dict[str, Any]:
    """Return options of a system with its windows, and those of an ensemble's members, ``pixels`` times as wide."""
    result = dict(options)
    if pixels == 1:
        return result
    if "windows" in options_of(system):
        default = inspect.signature(system_named(system).load()).parameters["windows"].default
        result["windows"] = [2 * round((side * pixels - 1) / 2) + 1 for side in result.get("windows", default)]
    if "members" in result:
        members = result["members"]
        each = result.get("options") or [{}] * len(members)
        result["options"] = [widened(name, own, pixels) for name, own in zip(members, each, strict=True)]
    return result
