"""Residual fusion: local linear regression, and a small network for what it leaves over in a few spectral components.

finewave's own; docs/models/residual-fusion.md has the equations and what each part gives. The regression is a guided
filter (see `finewave.systems.baselines.local_regression`). The network works on blocks of pixels (W. Shi et al.,
CVPR 2016, eq. 4), and its last layer starts at zero, so that training starts at the regression.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.nn.residual import conv
from finewave.nn.sampling import bicubic
from finewave.physics.observation import Observation
from finewave.systems.base import SRNetwork
from finewave.systems.baselines.gaussian_windows import window_radius
from finewave.systems.baselines.local_regression import (
    BICUBIC_PRODUCTS,
    CORRECTION_PRODUCTS,
    EXPORT_LACKS,
    NEARBY,
    WIDE,
    Maps,
    Noise,
    SpatialCorrection,
    applied,
    check_windows,
    map_products,
    n_with_roots,
    no_maps,
    noise_memory,
    regressed,
    regression_memory,
    with_roots,
    without_noise,
)
from finewave.systems.baselines.white_noise import filter_products, noise_reach
from finewave.systems.option_checks import at_least, require
from finewave.systems.residual_fusion.fitting import Fitting, fit
from finewave.systems.tile_stages import TileStage, convolution_weights

DARK = 0.01
"""Added to the brightness by which everything is divided: below it noise decides about relative spectra."""
LARGEST_BLOCK = 4
"""Side in HR pixels of the blocks that the network works on, where the scale has such a divisor."""
CUBIC_REACH = 2
"""LR pixels that bicubic interpolation looks at to either side."""


class ResidualFusion(SRNetwork):
    """``H = L + V (Z - D⁺ D Z)``, with the local regression L and the network's Z = a f(x, Vᵀ L, Vᵀ h).

    V (C, K) are the principal components of the training spectra in the null space of the sensor's response R: what the
    MSI does not show. So R H = R L, and since D (Z - D⁺ D Z) = 0, D H = D L: the network changes nothing that an input
    determines. a is the brightness around each block of pixels; f sees all images divided by it.

    Parameters
    ----------
    scale : int
        s >= 2.
    ms_bands, hs_bands : int
        c and C.
    components : int
        K, at least 1; no more than C - c are used.
    features, blocks : int
        Channels of the network, and its residual blocks of two 3 x 3 convolutions; >= 1.
    windows, ridge : sequence of float
        Of the regression, see `LocalRegression`.
    degradation : dict, optional
        D: keyword arguments of `degrade`; by default its Gaussian.
    initialisation : {"regression", "framework"}
        Whether the network starts as L, its last layer being zero.
    noise : {"ignored", "estimated"}
        Of the regression, see `LocalRegression`; f then sees the filtered MSI, and D L for h. The fit ignores noise.
    steps, crop, batch_size : int
        Of the fit to the training scenes: steps of Adam, side of the crops in HR pixels (None: 32, or 4 LR pixels if
        those are more, and at most what the largest scene holds), and their number.
    learning_rate : float
        At first; it falls to zero along a cosine.

    Raises
    ------
    InputError
        A ``ValueError``, if a value is out of range.
    """

    task = "fusion"
    prepares = True
    export_lacks: ClassVar = dict.fromkeys(("onnx", "pt2"), EXPORT_LACKS)
    basis: Tensor
    spread: Tensor
    size: Tensor

    def __init__(
        self,
        scale: int = 4,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        components: int = 10,
        features: int = 64,
        blocks: int = 4,
        windows: Sequence[float] = (8.0, 3.0, 1.2, 0.6),
        ridge: Sequence[float] = (1e-5, 1e-4, 1e-3, 1e-3),
        degradation: dict[str, Any] | None = None,
        initialisation: Literal["regression", "framework"] = "regression",
        noise: Literal["ignored", "estimated"] = "ignored",
        steps: int = 1000,
        crop: int | None = None,
        batch_size: int = 24,
        learning_rate: float = 2e-3,
    ) -> None:
        super().__init__()
        name = "residual-fusion"
        self.observation = Observation(scale, degradation, name)
        at_least(name, 1, ms_bands=ms_bands, hs_bands=hs_bands, components=components, features=features, blocks=blocks)
        at_least(name, 1, batch_size=batch_size)
        at_least(name, 0, steps=steps)
        if crop is not None:
            at_least(name, scale, crop=crop)
        require(name, learning_rate > 0, "> 0", learning_rate=learning_rate)
        check_windows(name, windows, ridge)
        self.noise_aware = noise == "estimated"
        self.scale, self.ms_bands, self.hs_bands = scale, ms_bands, hs_bands
        self.windows, self.ridge = tuple(windows), tuple(ridge)
        self.working_memory = regression_memory(scale, ms_bands, hs_bands)
        self.working_memory += noise_memory(ms_bands) if self.noise_aware else 0
        self.fitting = Fitting(steps, crop, batch_size, learning_rate)
        self.correction = SpatialCorrection(self.observation)
        self.block = max((n for n in range(2, LARGEST_BLOCK + 1) if scale % n == 0), default=scale)
        K = max(1, min(components, hs_bands - ms_bands))
        pixels = self.block**2
        self.register_buffer("basis", torch.linalg.qr(torch.randn(hs_bands, K)).Q)
        self.register_buffer("spread", torch.ones(K))
        self.register_buffer("size", torch.full((K,), 0.1))
        self.first = nn.Conv2d((ms_bands + K) * pixels + K, features, 1)
        self.blocks = nn.ModuleList(_Block(features) for _ in range(blocks))
        self.last = nn.Conv2d(features, K * pixels, 1)
        if initialisation == "regression":
            self.last.weight.data.zero_()
            assert self.last.bias is not None
            self.last.bias.data.zero_()

    @property
    def receptive_field(self) -> int:
        """Distance in LR pixels up to which an input pixel acts on an output pixel."""
        halo = self.tile_stages()[0].halo
        assert halo is not None
        return halo

    def tile_stages(self, window: int = 0) -> tuple[TileStage, ...]:
        """Return the maps of each window at LR, the regression, the network, and the correction of its change.

        Where noise is estimated, that comes first, with the filter of the MSI.
        """
        halos, products = self._halos(self.noise_aware), self._products()
        every = sum(products.values())
        return tuple(TileStage(name, halo, products[name] / every) for name, halo in halos.items())

    def halos_from(self, halos: Mapping[str, int], changed: Collection[str]) -> dict[str, int] | None:
        """Return measured halos of the stages without noise as those of this network: noise adds its reach to them."""
        plain, own = self._halos(noise_aware=False), self._halos(self.noise_aware)
        if set(changed) != {"noise"} or halos.keys() != plain.keys():
            return None
        first = self._maps[0]  # which the estimation of noise comes before
        of = {name: first if name == "noise" else name for name in own}
        return {name: halo - plain[of[name]] + halos[of[name]] for name, halo in own.items()}

    def _halos(self, noise_aware: bool) -> dict[str, int]:
        """Return the exact halo of each stage, the first stage first."""
        near = window_radius(NEARBY) if noise_aware else 0
        correction = self.correction.reach
        network = correction + -(-(2 * len(self.blocks) + 4) * self.block // self.scale)  # see `change`
        regression = network + correction + (near + self.observation.reach if noise_aware else 0)
        halos = {"correction": correction, "network": network, "regression": regression}
        reach = regression + CUBIC_REACH
        for name, each in reversed(list(zip(self._maps, self.windows, strict=True))):
            reach += window_radius(each) + (near if each < WIDE else 0)
            halos[name] = reach
        halos[self._maps[0]] += self.observation.reach
        if noise_aware:
            halos["noise"] = halos[self._maps[0]] + noise_reach()
        return dict(reversed(halos.items()))

    @property
    def _maps(self) -> list[str]:
        """Names of the stages that find maps, one for each window."""
        return [f"maps{number}" for number in range(1, len(self.windows) + 1)]

    def _products(self) -> dict[str, float]:
        """Return about how many multiplications each stage does for an LR pixel."""
        known, finer = n_with_roots(self.ms_bands), self.scale**2
        K, C = self.basis.shape[1], self.hs_bands
        convolutions = convolution_weights(self) * (self.scale // self.block) ** 2
        maps = (map_products(window, known, C) for window in self.windows)
        return {
            **({"noise": filter_products(self.ms_bands) * finer} if self.noise_aware else {}),
            **dict(zip(self._maps, maps, strict=True)),
            "regression": ((known + 1) * C * (BICUBIC_PRODUCTS + 1) + C * CORRECTION_PRODUCTS) * finer,
            "network": convolutions + 2 * K * C * finer,
            "correction": K * (CORRECTION_PRODUCTS + C) * finer,
        }

    def run_tile_stage(self, name: str, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run one of `tile_stages`, see `SRNetwork.run_tile_stage`."""
        wide = torch.promote_types(images["lr_hsi"].dtype, torch.float32)
        h, x = images["lr_hsi"].to(wide), images["hr_msi"].to(wide)
        if name == "noise":
            filtered, found = without_noise(h, x, self.scale)
            return {"hr_msi": filtered, "hs_noise": found.hs, "ms_noise": found.ms}
        noise = Noise(images["hs_noise"], images["ms_noise"]) if self.noise_aware else None
        if name in self._maps:
            return self._refined(self._maps.index(name), h, x, images, noise)
        if name == "regression":
            slopes = images["slopes"].unflatten(1, (-1, self.hs_bands)).to(wide)
            estimate = applied(slopes, images["constants"].to(wide), with_roots(x))
            regression = self.correction(estimate, h, noise)
            seen = h if noise is None else self.observation(regression)
            return {"regression": regression, "low": self.components(seen)}
        if name == "network":
            return {"change": self.change(x, self.components(images["regression"]), images["low"])}
        assert name == "correction"
        change = images["change"]
        change = self.correction(change, torch.zeros_like(h[:, :1]).expand(-1, change.shape[1], -1, -1))
        output = images["regression"] + torch.einsum("ck,bkhw->bchw", self.basis.to(wide), change)
        return {"hr_hsi": output.to(images["lr_hsi"].dtype)}

    def _refined(
        self, number: int, h: Tensor, x: Tensor, images: Mapping[str, Tensor], noise: Noise | None
    ) -> dict[str, Tensor]:
        """Return the maps of `images`, none before the first window, with those of a window added."""
        if number == 0:
            m = self.observation(with_roots(x)).double()
            maps = no_maps(h.double(), m)
        else:
            m = images["known"]
            maps = Maps(images["slopes"].unflatten(1, (m.shape[1], -1)), images["constants"], images["left"])
        maps = maps.refined(m, self.windows[number], self.ridge[number], noise)
        made = {"slopes": maps.slopes.flatten(1, 2), "constants": maps.constants}
        return made if number == len(self.windows) - 1 else {**made, "left": maps.left, "known": m}

    def forward(self, lr_hsi: Tensor, hr_msi: Tensor) -> Tensor:
        """Return (B, C, s h, s w) of ``lr_hsi`` (B, C, h, w) and ``hr_msi`` (B, c, s h, s w)."""
        images = {"lr_hsi": lr_hsi, "hr_msi": hr_msi}
        for stage in self.tile_stages():
            images.update(self.run_tile_stage(stage.name, images))
        return images["hr_hsi"]

    def regression(self, h: Tensor, x: Tensor) -> Tensor:
        """Return L (B, n, s h, s w) of h (B, n, h, w), HS bands or components of them, and x (B, c, s h, s w)."""
        known = with_roots(x)
        return self.correction(regressed(h, known, self.observation(known), self.windows, self.ridge), h)

    def components(self, image: Tensor) -> Tensor:
        """Return Vᵀ G (B, K, ...) of an image G (B, C, ...)."""
        return torch.einsum("ck,bchw->bkhw", self.basis.to(image), image)

    def change(self, x: Tensor, z: Tensor, low: Tensor) -> Tensor:
        """Return Z (B, K, H, W) of the MSI x (B, c, H, W), Vᵀ L (B, K, H, W) and Vᵀ h (B, K, h, w)."""
        a = self.brightness(x)
        spread = self.spread.to(x)[:, None, None]
        whole = a.repeat_interleave(self.block, 2).repeat_interleave(self.block, 3)
        sharp = F.pixel_unshuffle(torch.cat([x / whole, z / (spread * whole)], 1), self.block)
        smooth = bicubic(low, (a.shape[2], a.shape[3])) / (spread * a)
        images = torch.cat([sharp, smooth], 1).to(self.first.weight.dtype)
        y = self.first(images.contiguous(memory_format=torch.channels_last))
        for block in self.blocks:
            y = block(y)
        return F.pixel_shuffle(self.last(F.relu(y)).to(x.dtype), self.block) * (self.size.to(x)[:, None, None] * whole)

    def brightness(self, x: Tensor) -> Tensor:
        """Return a (B, 1, H/n, W/n): the mean of the MSI over a block of n x n pixels and those around it."""
        mean = F.avg_pool2d(x.mean(1, keepdim=True), self.block)
        return F.avg_pool2d(F.pad(mean, (1, 1, 1, 1), mode="replicate"), 3, stride=1).clamp(min=0) + DARK

    def prepare_from(self, samples: Iterable[Mapping[str, Tensor]], seed: int = 0) -> None:
        """Find V and train the network; see `finewave.systems.residual_fusion.fitting`.

        Parameters
        ----------
        samples : iterable of mappings
            Whole training images ``lr_hsi``, ``hr_msi`` and ``hr_hsi``, each (1, bands, rows, columns); held in memory.
        seed : int
            Of the crops.
        """
        for _ in fit(self, samples, seed):
            pass


class _Block(nn.Module):
    """ReLU, convolution, twice, plus the input."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(features, features), conv(features, features)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))
