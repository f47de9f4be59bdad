"""The fit of `ResidualFusion` to whole training scenes, whose regressions are computed once, before the first step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from finewave.errors import InputError
from finewave.physics.sensors.estimation import estimate_response

if TYPE_CHECKING:
    from finewave.systems.residual_fusion.network import ResidualFusion

WARMUP = 0.05
"""Part of the steps in which the learning rate rises."""
LARGEST_GRADIENT = 1.0
"""Norm to which gradients are clipped."""
SMALLEST_CROP = 32
"""Side of crops in HR pixels: with small ones a step sees many places for the same time."""
LOW_PIXELS = 4
"""Side in LR pixels below which a crop is mostly border."""


@dataclass(frozen=True)
class Fitting:
    """Length and size of the fit, see `ResidualFusion`."""

    steps: int
    crop: int | None
    batch_size: int
    learning_rate: float

    def side(self, scale: int, largest: int) -> int:
        """Return the side of the crops in LR pixels, where the largest that fits into a training image is known.

        Raises
        ------
        InputError
            If the stated crop is larger than that.
        """
        if self.crop is None:
            return min(max(SMALLEST_CROP // scale, LOW_PIXELS), largest)
        if self.crop // scale > largest:
            raise InputError(f"residual-fusion: crop={self.crop} is larger than every training image")
        return self.crop // scale

    def rate(self, step: int) -> float:
        """Return the learning rate of a step: linear at first, then along a cosine to zero."""
        warm = max(1, round(WARMUP * self.steps))
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm)))


@dataclass(frozen=True)
class _Components:
    """A training scene in components, half precision, (n, rows, columns): MSI, Vᵀ L, Vᵀ h, and Vᵀ (G - L).

    ``chances`` has the weight of every place that a crop may have, (rows, columns) of LR pixels.
    """

    x: Tensor
    z: Tensor
    low: Tensor
    residual: Tensor
    chances: Tensor


def fit(net: ResidualFusion, samples: Iterable[Mapping[str, Tensor]], seed: int) -> Iterator[tuple[int, float]]:
    """Set basis and spread, then train; yields each step's number and loss.

    The loss is the mean of ``|Z - Vᵀ (G - L)| / √a`` over crops, turned and mirrored at random: between the absolute
    error, which PSNR sees, and the relative one, which the spectral angle sees. A crop is drawn the more often the more
    of this error the regression leaves in it: most of a scene is flat or black.

    Raises
    ------
    InputError
        If there are no training images, or none is as large as a crop.
    """
    scenes = [dict(sample) for sample in samples]
    if not scenes:
        raise InputError("residual-fusion needs training images; there are none")
    options = net.fitting
    side = options.side(net.scale, max(min(each["lr_hsi"].shape[2:]) for each in scenes))
    with torch.no_grad():
        _set_basis(net, scenes)
        known = []
        while scenes:
            sample = scenes.pop(0)
            if min(sample["lr_hsi"].shape[2:]) >= side:
                known.append(_in_components(net, sample, side))
        _set_spread(net, known)
    optimizer = torch.optim.Adam(net.parameters(), betas=(0.9, 0.99))
    random = torch.Generator().manual_seed(seed)
    shares = torch.stack([each.chances.sum() for each in known])
    net.train()
    with torch.enable_grad():
        for step in range(options.steps):
            for group in optimizer.param_groups:
                group["lr"] = options.rate(step)
            drawn = torch.multinomial(shares, options.batch_size, replacement=True, generator=random)
            crops = [_crop(known[int(each)], side, random) for each in drawn]
            x, z, low, residual = (torch.stack(images).float() for images in zip(*crops, strict=True))
            root = net.brightness(x).sqrt().repeat_interleave(net.block, 2).repeat_interleave(net.block, 3)
            loss = ((net.change(x, z, low) - residual) / root).abs().mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), LARGEST_GRADIENT)
            optimizer.step()
            yield step, float(loss.detach())
    net.eval()


def _set_basis(net: ResidualFusion, scenes: list[dict[str, Tensor]]) -> None:
    """Set V to the principal components of the spectra in the null space of the response."""
    response = torch.from_numpy(
        estimate_response((each["hr_msi"][0].numpy(), each["hr_hsi"][0].numpy()) for each in scenes)
    )
    moment: Tensor | float = 0.0
    for each in scenes:
        spectra = each["hr_hsi"][0].flatten(1).double()
        moment = moment + spectra @ spectra.T
    assert isinstance(moment, Tensor)
    hidden = min(len(response), len(moment) - 1)  # with fewer HS than MS bands something is left to learn, too
    null = torch.linalg.svd(response).Vh[hidden:].T  # (C, C - c), what the sensor does not see
    vectors = null @ torch.linalg.eigh(null.T @ moment @ null).eigenvectors  # ascending
    net.basis.copy_(vectors[:, -net.basis.shape[1] :].flip(1))


def _in_components(net: ResidualFusion, sample: Mapping[str, Tensor], side: int) -> _Components:
    h, x = net.components(sample["lr_hsi"]), sample["hr_msi"]
    z = net.regression(h, x)
    residual = net.components(sample["hr_hsi"]) - z
    error = F.avg_pool2d(residual.abs().mean(1, keepdim=True), net.block) / net.brightness(x).sqrt()
    error = F.avg_pool2d(error, net.scale // net.block)
    chances = F.avg_pool2d(error, side, stride=1)[0, 0] + 1e-9  # of a perfect regression all places are alike
    x, z, low, residual = (image[0].half() for image in (x, z, h, residual))
    return _Components(x, z, low, residual, chances)


def _set_spread(net: ResidualFusion, known: list[_Components]) -> None:
    """Set spread and size to the root mean square of each component and its residual, relative to the brightness."""
    for buffer, images in ((net.spread, [each.z for each in known]), (net.size, [each.residual for each in known])):
        squares = []
        for image, each in zip(images, known, strict=True):
            a = net.brightness(each.x[None].float())
            whole = a.repeat_interleave(net.block, 2).repeat_interleave(net.block, 3)
            squares.append((image.float() / whole[0]).square().mean((1, 2)))
        buffer.copy_(torch.stack(squares).mean(0).sqrt().clamp(min=1e-6))


def _crop(scene: _Components, side: int, random: torch.Generator) -> tuple[Tensor, ...]:
    """Return a part of ``side`` LR pixels of the four images, turned and mirrored alike."""
    rows = scene.low.shape[1]
    place = int(torch.multinomial(scene.chances.flatten(), 1, generator=random))
    row, column = divmod(place, scene.chances.shape[1])
    down, across, turn = (bool(each) for each in torch.randint(2, (3,), generator=random))
    axes = [axis for axis, flipped in ((1, down), (2, across)) if flipped]
    parts = []
    for image in (scene.x, scene.z, scene.low, scene.residual):
        s = image.shape[1] // rows
        part = image[:, row * s : (row + side) * s, column * s : (column + side) * s].flip(axes)
        parts.append(part.mT if turn else part)
    return tuple(parts)
