"""JSSUNet in its plain formulation: every window laid out in memory, one pass per cluster, float32, (B, C, H, W).

Written from the description of the network alone, and nothing of ``finewave.nn`` or ``finewave.systems`` is used: it
says what the fast network must give, and how long and how much memory it took before. Names of parameters are those of
`finewave.systems.jssunet.network.JSSUNet`, so that a state dict fits both.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv(inside: int, outside: int, k: int = 3, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inside, outside, k, padding=k // 2, bias=bias)


def bicubic(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size, mode="bicubic", align_corners=False)


def primes(n: int) -> list[int]:
    for p in range(2, n + 1):
        if n % p == 0:
            return [p, *primes(n // p)]
    return []


# --- Post-processing ----------------------------------------------------------------------------------------------


def windows(x: Tensor, side: int) -> Tensor:
    """(B, C, H, W) to (B, C, side * side, H, W): the zero-padded neighbourhood of every pixel."""
    B, C, H, W = x.shape
    return F.unfold(x, side, padding=side // 2).view(B, C, side * side, H, W)


class Head(nn.Module):
    def __init__(self, channels: int, embedding: int, patch: int, window: int, top_percent: float) -> None:
        super().__init__()
        self.patch, self.window, self.k = patch, window, max(1, int(window * window * top_percent / 100))
        self.embed = nn.Conv2d(channels, embedding, patch, padding=patch // 2, bias=False)
        self.phi = nn.Conv2d(embedding, embedding, 1, bias=False)
        self.theta = nn.Conv2d(embedding, embedding, 1, bias=False)
        self.value = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        patches = windows(x, self.patch).flatten(1, 2)
        embedded = F.conv2d(patches, self.embed.weight.flatten(1)[:, :, None, None])
        theta = windows(self.theta(embedded), self.window)
        value = windows(self.value(x), self.window)
        scores = torch.einsum("behw,benhw->bnhw", self.phi(embedded), theta)
        best = scores.topk(self.k, dim=1)
        chosen = value.gather(2, best.indices.unsqueeze(1).expand(-1, x.shape[1], -1, -1, -1))
        return (chosen * best.values.softmax(1).unsqueeze(1)).sum(2)


class MultiHead(nn.Module):
    def __init__(self, channels: int, heads: int, **head: Any) -> None:
        super().__init__()
        self.heads = nn.ModuleList(Head(channels, **head) for _ in range(heads))
        self.mlp = nn.Sequential(nn.Linear(heads, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(torch.stack([head(x) for head in self.heads], -1)).squeeze(-1)


class NormalisedBlock(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = conv(features, features, bias=False), nn.BatchNorm2d(features)
        self.conv2, self.norm2 = conv(features, features, bias=False), nn.BatchNorm2d(features)
        self.conv3 = conv(features, features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(F.relu(self.conv1(x)))
        y = self.norm2(F.relu(self.conv2(y)))
        return F.relu(self.conv3(y) + x)


class PlainPostProcessing(nn.Module):
    def __init__(self, channels: int, features: int, heads: int, window: int, **head: Any) -> None:
        super().__init__()
        self.shift = window // 2
        self.attention1 = MultiHead(channels, heads, window=window, **head)
        self.attention2 = MultiHead(channels, heads, window=window, **head)
        self.head = conv(2 * channels, features, bias=False)
        self.block = NormalisedBlock(features)
        self.tail = conv(features, channels, bias=False)

    def forward(self, u: Tensor) -> Tensor:
        v = self.attention1(u)
        v = torch.roll(v, (self.shift, self.shift), (2, 3))
        v = self.attention2(v)
        v = torch.roll(v, (-self.shift, -self.shift), (2, 3))
        return u + self.tail(self.block(self.head(torch.cat((v, u), 1))))


# --- Unfolding ----------------------------------------------------------------------------------------------------


class Chain(nn.Sequential):
    """One resampling convolution per prime factor; transposed ones are followed by a plain one."""

    def __init__(self, channels: int, factors: list[int], upwards: bool, groups: int = 1) -> None:
        layers: list[nn.Module] = []
        for p in factors:
            k = 2 * p + 1
            if upwards:
                t = p + 1 if p % 2 == 0 else p + 2
                layers.append(nn.ConvTranspose2d(channels, channels, t, p, t // 2, p - 1, bias=False))
                layers.append(nn.Conv2d(channels, channels, k, 1, p, bias=False))
            else:
                layers.append(nn.Conv2d(channels, channels, k, p, p, groups=groups, bias=False))
        super().__init__(*layers)


class BackProjection(nn.Module):
    def __init__(self, channels: int, factors: list[int], iterations: int) -> None:
        super().__init__()
        self.first = Chain(channels, factors, upwards=True)
        self.down = nn.ModuleList(Chain(channels, factors, upwards=False) for _ in range(iterations))
        self.up = nn.ModuleList(Chain(channels, factors, upwards=True) for _ in range(iterations))

    def forward(self, e: Tensor) -> Tensor:
        x = F.leaky_relu(self.first(e), 0.01)
        for down, up in zip(self.down, self.up, strict=True):
            seen = F.leaky_relu(down(x), 0.01)
            x, e = x + F.leaky_relu(up(seen - e), 0.01), seen
        return x


class Block(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (conv(features, features, bias=False) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv3(F.relu(self.conv2(F.relu(self.conv1(x))))) + x)


class Attention(nn.Module):
    def __init__(self, features: int, reduction: int) -> None:
        super().__init__()
        self.squeeze, self.excite = conv(features, features // reduction, 1), conv(features // reduction, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(x, 1)))))


class AttentionBlock(nn.Module):
    def __init__(self, features: int, reduction: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(features, features), conv(features, features)
        self.attention = Attention(features, reduction)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.attention(self.conv2(F.relu(self.conv1(x))))


class Prox(nn.Module):
    """Blocks around the identity, guided by an image beside it where there is one."""

    def __init__(self, channels: int, features: int, blocks: list[nn.Module], beside: int = 0, relu: bool = True):
        super().__init__()
        self.relu = relu
        self.head = conv(channels + beside, features, bias=False)
        self.blocks = nn.Sequential(*blocks)
        self.tail = conv(features, channels)

    def forward(self, u: Tensor, *guide: Tensor) -> Tensor:
        x = self.head(torch.cat((u, *guide), 1))
        return u + self.tail(self.blocks(F.relu(x) if self.relu else x))


class PerCluster(nn.Module):
    """One MLP after the other; where the choice learns, each on all pixels, times the share of its cluster."""

    def __init__(self, clusters: int, *widths: int, last_relu: bool = True) -> None:
        super().__init__()
        self.last_relu = last_relu
        pairs = list(itertools.pairwise(widths))
        self.weight = nn.ParameterList(nn.Parameter(torch.randn(clusters, o, i) / i) for i, o in pairs)
        self.bias = nn.ParameterList(nn.Parameter(torch.zeros(clusters, o)) for _, o in pairs)

    def mlp(self, m: int, pixels: Tensor) -> Tensor:
        for i, (w, b) in enumerate(zip(self.weight, self.bias, strict=True)):
            pixels = F.linear(pixels, w[m], b[m])
            if i + 1 < len(self.weight) or self.last_relu:
                pixels = F.relu(pixels)
        return pixels

    def forward(self, x: Tensor, assignment: Tensor) -> Tensor:
        pixels, shares = x.permute(0, 2, 3, 1), assignment.permute(0, 2, 3, 1)
        total = x.new_zeros(*pixels.shape[:3], self.weight[-1].shape[1])
        for m in range(assignment.shape[1]):
            if assignment.requires_grad:
                total = total + shares[..., m : m + 1] * self.mlp(m, pixels)
            else:
                chosen = shares[..., m] > 0.5
                total = total.masked_scatter(chosen.unsqueeze(-1), self.mlp(m, pixels[chosen]))
        return total.permute(0, 3, 1, 2)


class Clusters(nn.Module):
    def __init__(self, channels: int, clusters: int, kind: str) -> None:
        super().__init__()
        self.clusters, self.kind = clusters, kind
        if kind == "learned":
            self.net = nn.Sequential(
                conv(channels, 32), nn.ReLU(), conv(32, 64), nn.ReLU(), nn.Conv2d(64, clusters, 3, padding=1)
            )
        elif kind == "kmeans":
            self.register_buffer("centroids", torch.zeros(clusters, channels))

    def forward(self, f: Tensor) -> tuple[Tensor, Tensor]:
        if self.kind == "learned":
            probability = self.net(f).softmax(1)
            hard = F.one_hot(probability.argmax(1), self.clusters).permute(0, 3, 1, 2).to(f)
            return hard + (probability - probability.detach()), probability
        if self.kind == "kmeans":
            distance = (f.unsqueeze(1) - self.centroids[None, :, :, None, None]).square().sum(2)
            hard = F.one_hot(distance.argmin(1), self.clusters).permute(0, 3, 1, 2).to(f)
        else:
            hard = torch.ones_like(f[:, :1])
        return hard, hard


class SRStage(nn.Module):
    def __init__(self, c: int, features: int, factors: list[int], iterations: int, blocks: int) -> None:
        super().__init__()
        self.down = Chain(c, factors, upwards=False, groups=c)
        self.up = BackProjection(c, factors, iterations) if iterations else Chain(c, factors, upwards=True)
        self.prox = Prox(c, features, [Block(features) for _ in range(blocks)])

    def forward(self, u: Tensor, f: Tensor) -> Tensor:
        return self.prox(u - self.up(self.down(u) - f))


class SR(nn.Module):
    def __init__(self, scale: int, initial: str, stages: list[nn.Module]) -> None:
        super().__init__()
        self.scale, self.initial, self.stages = scale, initial, nn.ModuleList(stages)

    def forward(self, f: Tensor) -> list[Tensor]:
        size = (f.shape[2] * self.scale, f.shape[3] * self.scale)
        estimates = [bicubic(f, size) if self.initial == "bicubic" else F.interpolate(f, size, mode="nearest")]
        for stage in self.stages:
            estimates.append(stage(estimates[-1], f))
        return estimates[1:]


class SSRStage(nn.Module):
    def __init__(self, spec_down: nn.Module, spec_up: nn.Module, prox: nn.Module) -> None:
        super().__init__()
        self.spec_down, self.spec_up, self.prox = spec_down, spec_up, prox

    def forward(self, u: Tensor, f: Tensor, assignment: Tensor) -> Tensor:
        return self.prox(u - self.spec_up(self.spec_down(u, assignment) - f, assignment))


class SSR(nn.Module):
    def __init__(self, clusters: nn.Module, initial: nn.Module, stages: list[nn.Module]) -> None:
        super().__init__()
        self.clusters, self.initial, self.stages = clusters, initial, nn.ModuleList(stages)

    def forward(self, f: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        assignment, probability = self.clusters(f)
        estimates = [self.initial(f, assignment)]
        for stage in self.stages:
            estimates.append(stage(estimates[-1], f, assignment))
        return estimates[1:], assignment, probability


class LFE(nn.Module):
    def __init__(self, inside: int, outside: int, features: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(inside, features, bias=False), conv(features, outside, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv2(self.conv1(x)))


class HFI(nn.Module):
    def __init__(self, inside: int, outside: int, features: int, blocks: int) -> None:
        super().__init__()
        self.conv1, self.conv3 = conv(inside, features, bias=False), conv(features, outside)
        self.blocks = nn.Sequential(*(Block(features) for _ in range(blocks)))
        self.conv2 = None if blocks else conv(features, features)

    def forward(self, low: Tensor, *images: Tensor) -> Tensor:
        x = self.conv1(torch.cat(images, 1))
        x = self.blocks(x) if self.conv2 is None else self.conv2(x)
        return F.relu(low + self.conv3(x))


class FusionStage(nn.Module):
    def __init__(self, c: int, C: int, features: int, blocks: int) -> None:
        super().__init__()
        self.step_size = nn.Parameter(torch.full((C, 1, 1), 0.1))
        self.prox = Prox(C, features, [Block(features) for _ in range(blocks)], beside=c)

    def forward(self, u: Tensor, a: Tensor, b: Tensor, z: Tensor, u_sr: Tensor) -> Tensor:
        return self.prox(u - self.step_size * (a * (a * u - b * z)), u_sr)


class Fusion(nn.Module):
    def __init__(self, c: int, C: int, features: int, with_low: bool, hfi_blocks: int, stages: list[nn.Module]) -> None:
        super().__init__()
        inside = c + C * (2 if with_low else 1)
        self.with_low = with_low
        self.low_ms, self.low_hs = LFE(c, C, features), LFE(C, C, features)
        self.high, self.initial = (HFI(inside, C, features, hfi_blocks) for _ in range(2))
        self.stages = nn.ModuleList(stages)

    def forward(self, u_sr: Tensor, u_ssr: Tensor) -> list[Tensor]:
        hr, lr = tuple(u_sr.shape[2:]), tuple(u_ssr.shape[2:])
        hs_up = bicubic(u_ssr, hr)
        a = self.low_ms(bicubic(bicubic(u_sr, lr), hr))
        b = self.low_hs(hs_up)
        images = (u_sr, hs_up, a) if self.with_low else (u_sr, hs_up)
        z, estimates = self.high(a, *images), [self.initial(a, *images)]
        for stage in self.stages:
            estimates.append(stage(estimates[-1], a, b, z, u_sr))
        return estimates[1:]


class Estimates(NamedTuple):
    sr: list[Tensor]
    ssr: list[Tensor]
    fusion: list[Tensor]
    assignment: Tensor
    probability: Tensor


class PlainJSSUNet(nn.Module):
    """The network; arguments and defaults are those of `finewave.systems.jssunet.network.JSSUNet`."""

    task, inputs, output = "sssr", ("lr_msi",), "hr_hsi"

    def __init__(
        self,
        scale: int = 4,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        stages: int = 4,
        features: int = 128,
        upsampling: str = "back-projection",
        back_projections: int = 1,
        progressive: bool = True,
        clusters: str = "learned",
        n_clusters: int = 10,
        post: bool = True,
        patch: int = 11,
        window: int = 11,
        heads: int = 3,
        embedding: int = 8,
        top_percent: float = 10,
        sr_initial: str = "bicubic",
        adjoint_relu: bool = True,
        spec_down_hidden: int = 0,
        hfi_with_low: bool = False,
        hfi_blocks: int = 0,
        sr_blocks: int = 2,
        ssr_blocks: int = 1,
        fusion_blocks: int = 3,
        reduction: int = 1,
        initialisation: str = "framework",
    ) -> None:
        super().__init__()
        c, C, n = ms_bands, hs_bands, features
        self.scale, self.ms_bands, self.hs_bands = scale, c, C
        factors = primes(scale) if progressive else [scale]
        iterations = back_projections if upsampling == "back-projection" else 0
        M = 1 if clusters == "none" else n_clusters
        down = (C, spec_down_hidden, c) if spec_down_hidden else (C, c)
        self.sr = SR(scale, sr_initial, [SRStage(c, n, factors, iterations, sr_blocks) for _ in range(stages)])
        self.ssr = SSR(
            Clusters(c, M, clusters),
            PerCluster(M, c, n, C),
            [
                SSRStage(
                    PerCluster(M, *down),
                    PerCluster(M, c, n, C, last_relu=adjoint_relu),
                    Prox(C, n, [AttentionBlock(n, reduction) for _ in range(ssr_blocks)], relu=False),
                )
                for _ in range(stages)
            ],
        )
        fusion = [FusionStage(c, C, n, fusion_blocks) for _ in range(stages)]
        self.fusion = Fusion(c, C, n, hfi_with_low, hfi_blocks, fusion)
        head = {"embedding": embedding, "patch": patch, "window": window, "top_percent": top_percent}
        self.post = PlainPostProcessing(C, n, heads, **head) if post else None

    def forward_stages(self, lr_msi: Tensor) -> Estimates:
        sr = self.sr(lr_msi)
        ssr, assignment, probability = self.ssr(lr_msi)
        return Estimates(sr, ssr, self.fusion(sr[-1], ssr[-1]), assignment, probability)

    def forward(self, lr_msi: Tensor) -> Tensor:
        u = self.forward_stages(lr_msi).fusion[-1]
        return u if self.post is None else self.post(u)
