"""US3RN: joint spatio-spectral super-resolution by unfolding ADMM.

Q. Ma, J. Jiang, X. Liu, J. Ma, "Deep Unfolding Network for Spatiospectral Image Super-Resolution", IEEE Transactions on
Computational Imaging 8, 28-40, 2022. Public code: junjun-jiang/US3RN, without a licence file. Known differences, each
explained in ``docs/models/us3rn.md``:

- any scale from 2: one layer for each prime factor (public code: powers of two; others are silently rounded down);
- the non-local sums are computed for some pixels at a time: memory grows linearly with pixels, not quadratically;
- ``initialisation="operators"`` starts at values that give every part a gradient (public code: normal random numbers).

The observed w (c x h x w) is explained by an HR-MSI y and an LR-HSI z, both made from the HR-HSI x (C x s h x s w):

    alpha ||D y - w||^2 + (1 - alpha) ||R z - w||^2 + prior(x),    y = R x,  z = D x

with the decimation D and the spectral response R. ADMM adds the scaled multipliers u for y and v for z. Every
operator is a small learned layer: `Decimation` for D, `DecimationAdjoint` for its adjoint, ``dec`` (C to c) for R,
``inc`` (c to C) for its adjoint, a non-local block for an inverse, residual blocks for the prior.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.nn.full_precision import full_precision
from finewave.nn.residual import conv
from finewave.nn.sampling import prime_factors
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least, one_of
from finewave.systems.us3rn.nonlocal_attention import NonLocalBlock

# --- Layers -------------------------------------------------------------------------------------------------------


def _kernel_size(p: int) -> int:
    """Kernel size of a layer with stride ``p``: 3 for 2, as published, and without gaps for other factors."""
    return 2 * p - 1


class Decimation(nn.Sequential):
    """Decimation, band by band: (B, n, h s, w s) to (B, n, h, w), a strided convolution for each factor."""

    def __init__(self, bands: int, factors: list[int]) -> None:
        kernels = [(p, _kernel_size(p)) for p in factors]
        super().__init__(*(nn.Conv2d(bands, bands, k, stride=p, padding=k // 2, groups=bands) for p, k in kernels))

    @torch.no_grad()
    def reset_to_average(self) -> None:
        """Initialise as the mean over the pixels that a coarse pixel covers."""
        for layer in self:
            assert isinstance(layer, nn.Conv2d)
            assert layer.bias is not None
            k, p = layer.kernel_size[0], layer.stride[0]
            box = torch.zeros(k)
            box[k // 2 : k // 2 + p] = 1 / p
            layer.weight.mul_(0.1).add_(torch.outer(box, box))
            nn.init.zeros_(layer.bias)


class DecimationAdjoint(nn.Sequential):
    """Adjoint of the decimation, mixing bands: (B, n, h, w) to (B, n, h s, w s), a transposed convolution a factor."""

    def __init__(self, bands: int, factors: list[int]) -> None:
        kernels = [(p, _kernel_size(p)) for p in factors]
        super().__init__(
            *(nn.ConvTranspose2d(bands, bands, k, p, padding=k // 2, output_padding=p - 1) for p, k in kernels)
        )

    @torch.no_grad()
    def reset_to_interpolation(self) -> None:
        """Initialise as linear interpolation within the kernel, band by band."""
        for layer in self:
            assert isinstance(layer, nn.ConvTranspose2d)
            assert layer.bias is not None
            k, p = layer.kernel_size[0], layer.stride[0]
            # distance of tap t's fine pixel from the centre of the coarse one, in coarse pixels
            distance = ((torch.arange(k) - k // 2 + 0.5) / p - 0.5).abs()
            ramp = (1 - distance).clamp(min=0)
            for phase in range(p):  # taps that add up in the same fine pixels
                ramp[phase::p] /= ramp[phase::p].sum()
            layer.weight.mul_(0.1)
            bands = torch.arange(layer.in_channels)
            layer.weight[bands, bands] += torch.outer(ramp, ramp)
            nn.init.zeros_(layer.bias)


class CorrectionBlock(nn.Module):
    """conv-ReLU-conv, plus the input, ReLU; (B, n, H, W) to the same shape."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = conv(features, features)
        self.conv2 = conv(features, features)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        return F.relu(x + self.conv2(F.relu(self.conv1(x), inplace=True)))


# --- Blocks of the iteration --------------------------------------------------------------------------------------


class Estimates(NamedTuple):
    """Estimates of HR-HSI x, HR-MSI y and LR-HSI z, and the multipliers u of y and v of z."""

    x: Tensor
    y: Tensor
    z: Tensor
    u: Tensor
    v: Tensor


class IterationBlock(nn.Module):
    """Base of all blocks: weights alpha, beta, gamma, the operators, and the solution for y."""

    def __init__(self, ms_bands: int, hs_bands: int, factors: list[int], corrections: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.rand(1))
        self.beta = nn.Parameter(torch.randn(1))
        self.gamma = nn.Parameter(torch.randn(1))
        self.up1, self.up2 = DecimationAdjoint(ms_bands, factors), DecimationAdjoint(ms_bands, factors)
        self.up3 = DecimationAdjoint(hs_bands, factors)
        self.down1, self.down2 = Decimation(ms_bands, factors), Decimation(hs_bands, factors)
        self.inverse = NonLocalBlock(ms_bands)
        self.correct = nn.Sequential(*(CorrectionBlock(hs_bands) for _ in range(corrections)))
        self.inc_weight = nn.Parameter(torch.randn(hs_bands, ms_bands, 1, 1))
        self.dec_weight = nn.Parameter(torch.randn(ms_bands, hs_bands, 1, 1))
        self.mix = nn.Conv2d(hs_bands, hs_bands, 1)

    def inc(self, x: Tensor) -> Tensor:
        """Return (B, C, H, W) from (B, c, H, W)."""
        return F.conv2d(x, self.inc_weight)

    def dec(self, x: Tensor) -> Tensor:
        """Return (B, c, H, W) from (B, C, H, W)."""
        return F.conv2d(x, self.dec_weight)

    def solve_y(self, q: Tensor) -> Tensor:
        """Return y = (beta I + 2 alpha D'D)^-1 q by the matrix inversion lemma, its inner inverse learned."""
        r = self.up2(self.inverse(self.down1(q)))
        return F.relu((q - (2 * self.alpha / self.beta) * r) / self.beta)

    def prior(self, x: Tensor, mixed: bool) -> Tensor:
        """Return the corrected HR-HSI; in mixed precision if the network runs in it."""
        with torch.autocast(x.device.type, enabled=mixed):
            return F.relu(self.correct(x)).to(x.dtype)


class FirstBlock(IterationBlock):
    """First block: all estimates from w alone."""

    def forward(self, w: Tensor, mixed: bool = False) -> Estimates:
        """Return the first estimates from ``w`` (B, c, h, w)."""
        y = self.solve_y(2 * self.alpha * self.up1(w))
        z = F.relu(self.mix(2 * (1 - self.alpha) * self.inc(w)))
        x = self.prior(self.inc(-self.beta * y) + self.gamma * self.up3(-z), mixed)
        return Estimates(x, y, z, self.dec(x) - y, self.down2(x) - z)


class LastBlock(IterationBlock):
    """Last block: y and z, then a gradient step in x of length eta; negative eta disables it."""

    def __init__(self, ms_bands: int, hs_bands: int, factors: list[int], corrections: int) -> None:
        super().__init__(ms_bands, hs_bands, factors, corrections)
        self.eta = nn.Parameter(torch.randn(1))
        self.up4 = DecimationAdjoint(hs_bands, factors)
        self.down3 = Decimation(hs_bands, factors)

    def step(self, w: Tensor, before: Estimates, mixed: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Return the next x, y, z."""
        x, _, _, u, v = before
        seen = self.dec(x)
        y = self.solve_y(2 * self.alpha * self.up1(w) + self.beta * (u + seen))
        z = F.relu(self.mix(self.gamma * (self.down3(x) + v) + 2 * (1 - self.alpha) * self.inc(w)))
        # gradient of the augmented Lagrangian; the spectral operators are linear, so sums and factors are applied
        # before them
        from_y = self.inc(self.beta * (u - y + seen))
        from_z = self.gamma * (self.up3(self.down2(x)) + self.up4(v - z))
        return self.prior(x - F.relu(self.eta) * (from_y + from_z), mixed), y, z

    def forward(self, w: Tensor, before: Estimates, mixed: bool = False) -> Estimates:
        """Return the next estimates; the multipliers are unchanged."""
        return Estimates(*self.step(w, before, mixed), before.u, before.v)


class MiddleBlock(LastBlock):
    """Block between: the same, and an update of the multipliers."""

    def __init__(self, ms_bands: int, hs_bands: int, factors: list[int], corrections: int) -> None:
        super().__init__(ms_bands, hs_bands, factors, corrections)
        self.down4 = Decimation(hs_bands, factors)

    def forward(self, w: Tensor, before: Estimates, mixed: bool = False) -> Estimates:
        """Return the next estimates."""
        x, y, z = self.step(w, before, mixed)
        return Estimates(x, y, z, before.u + self.dec(x) - y, before.v + self.down4(x) - z)


# --- The network --------------------------------------------------------------------------------------------------


class US3RN(SRNetwork):
    """LR-MSI to HR-HSI: (B, c, h, w) to (B, C, s h, s w), reflectance-like values in [0, 1].

    Parameters
    ----------
    scale : int
        s, any integer >= 2; 2, 4 and 8 in the publication.
    ms_bands, hs_bands : int
        c and C. Parameters and time grow with the square of C.
    stages : int
        Number of blocks, first and last included; the middle blocks share their weights.
    corrections : int
        Residual blocks in each prior.
    initialisation : {"operators", "published"}
        Weight initialisation: each operator as its classical counterpart, with scalars that give every part a gradient
        (in training, spectral operators fitted to the scenes, see `prepare_from`); or as in the public code, scalars
        and spectral operators from normal distributions, the non-local blocks at the identity.

    Notes
    -----
    The non-local blocks use the whole image: `receptive_field` is None, and time grows with the square of the pixels.
    """

    task = "sssr"
    prepares = True
    receptive_field = None

    def __init__(
        self,
        scale: int = 4,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        stages: int = 4,
        corrections: int = 3,
        initialisation: Literal["operators", "published"] = "operators",
    ) -> None:
        super().__init__()
        at_least("us3rn", 2, scale=scale)
        at_least("us3rn", 1, ms_bands=ms_bands, hs_bands=hs_bands, corrections=corrections)
        at_least("us3rn", 3, stages=stages)
        one_of("us3rn", ("operators", "published"), initialisation=initialisation)
        self.scale, self.ms_bands, self.hs_bands, self.stages = scale, ms_bands, hs_bands, stages
        factors = prime_factors(scale)
        block = (ms_bands, hs_bands, factors, corrections)
        self.opening, self.middle, self.closing = FirstBlock(*block), MiddleBlock(*block), LastBlock(*block)
        self.skip_up = DecimationAdjoint(ms_bands, factors)
        self.skip = nn.Conv2d(ms_bands, hs_bands, 1)
        self.merge = conv(stages * hs_bands, hs_bands)
        self.final = conv(hs_bands, hs_bands)
        self.initialisation = initialisation
        if initialisation == "operators":
            _start_as_operators(self)
        else:
            for norm in (m for m in self.modules() if isinstance(m, nn.BatchNorm2d)):
                nn.init.zeros_(norm.weight)

    def forward_stages(self, lr_msi: Tensor) -> tuple[Tensor, list[Estimates]]:
        """Return the HR-HSI and the estimates of all stages.

        Images keep their digits in mixed precision; only the priors inside lose some.
        """
        mixed = torch.is_autocast_enabled(lr_msi.device.type)
        with full_precision(lr_msi):
            estimates = [self.opening(lr_msi, mixed)]
            for _ in range(self.stages - 2):
                estimates.append(self.middle(lr_msi, estimates[-1], mixed))
            estimates.append(self.closing(lr_msi, estimates[-1], mixed))
            merged = self.merge(torch.cat([estimate.x for estimate in estimates], 1))
            return self.final(merged + self.skip(self.skip_up(lr_msi))), estimates

    def forward(self, lr_msi: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, s h, s w) of ``lr_msi`` (B, c, h, w)."""
        return self.forward_stages(lr_msi)[0]

    @torch.no_grad()
    def prepare_from(self, samples: Iterable[Mapping[str, Tensor]], seed: int = 0) -> None:
        """Fit the spectral operators to the training scenes by least squares; nothing if ``"published"``.

        Parameters
        ----------
        samples : iterable of mappings
            ``lr_msi`` (B, c, h, w) and ``lr_hsi`` (B, C, h, w) of the same pixels.
        seed : int
            Not used: nothing is drawn.
        """
        if self.initialisation == "published":
            return
        c, C = self.ms_bands, self.hs_bands
        moments = torch.zeros(c + C, c + C, dtype=torch.float64)
        for sample in samples:
            pixels = torch.cat([sample["lr_msi"], sample["lr_hsi"]], 1).transpose(0, 1).flatten(1).double()
            moments += (pixels @ pixels.T).cpu()
        ms, hs, both = moments[:c, :c], moments[c:, c:], moments[:c, c:]
        inc, dec = _least_squares(ms, both).T, _least_squares(hs, both.T).T
        for block in (self.opening, self.middle, self.closing):
            block.inc_weight.copy_(inc[..., None, None])
            block.dec_weight.copy_(dec[..., None, None])

    def training_loss(self, batch: dict[str, Tensor], done: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the output for ``batch`` and the published loss terms of the stages.

        ``hr_msi`` and ``lr_hsi``: mean absolute errors of the last y and z. ``stages``: sum of those of x, y and z over
        all blocks but the last.
        """
        output, estimates = self.forward_stages(batch["lr_msi"])
        targets = (batch["hr_hsi"], batch["hr_msi"], batch["lr_hsi"])
        errors = [
            [F.l1_loss(e, target) for e, target in zip(estimate[:3], targets, strict=True)] for estimate in estimates
        ]
        before = torch.stack([error for stage in errors[:-1] for error in stage]).sum()
        return output, {"hr_msi": errors[-1][1], "lr_hsi": errors[-1][2], "stages": before}


def _least_squares(gram: Tensor, moments: Tensor) -> Tensor:
    """Return gram^-1 moments, with a little ridge: bands are nearly dependent."""
    ridge = 1e-5 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    return torch.linalg.solve(gram + ridge, moments)


@torch.no_grad()
def _start_as_operators(net: US3RN) -> None:
    """Initialise each operator as its classical counterpart, and the estimates as grey versions of w."""
    c, C = net.ms_bands, net.hs_bands
    for module in net.modules():
        if isinstance(module, Decimation):
            module.reset_to_average()
        elif isinstance(module, DecimationAdjoint):
            module.reset_to_interpolation()
        elif isinstance(module, CorrectionBlock):
            module.conv2.weight.mul_(0.1)
        elif isinstance(module, NonLocalBlock):
            nn.init.constant_(module.norm.weight, 0.1)  # at 0 the rest of the block would have no gradient
    for block in (net.opening, net.middle, net.closing):
        nn.init.constant_(block.alpha, 0.5)
        nn.init.constant_(block.beta, 1.0)  # y is divided by it
        nn.init.constant_(block.gamma, 1.0)
        block.inc_weight.mul_(0.1).add_(1).div_(c)
        block.dec_weight.mul_(0.1).add_(1).div_(C)
        # with D D' = I, the inverse within `solve_y` is 1 / (1 + 2 alpha / beta)
        block.up2[-1].weight.mul_(0.5)
        # z is a normalised weighted sum, of one part in the first block, else of two
        _near_identity(block.mix, 1.0 if block is net.opening else 0.5)
    for step in (net.middle, net.closing):
        nn.init.constant_(step.eta, 0.1)  # below 0 it would have no gradient
    # x starts at beta g + gamma h = -y - gamma z in grey, with y = w / 2: this makes it w, where the ReLUs let it pass
    nn.init.constant_(net.opening.gamma, -1.5)
    net.merge.weight.mul_(0.1)
    for i in range(net.stages):
        net.merge.weight[:, i * C : (i + 1) * C, 1, 1] += torch.eye(C) / net.stages
    net.skip.weight.mul_(0.01)
    for layer in (net.skip, net.merge):
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
    _near_identity(net.final, 1.0)


def _near_identity(layer: nn.Conv2d, factor: float) -> None:
    """Multiply each channel by ``factor``, and keep a tenth of the random weights."""
    assert layer.bias is not None
    middle = layer.kernel_size[0] // 2
    layer.weight.mul_(0.1)
    layer.weight[:, :, middle, middle] += factor * torch.eye(layer.in_channels)
    nn.init.zeros_(layer.bias)
