"""RAFT: optical flow by recurrent refinement over all-pairs correlations.

Z. Teed, J. Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow", arXiv 2003.12039. Public code:
princeton-vl/RAFT (BSD-3-Clause); the "basic" configuration. Sizes below are for ``width`` w = 64, the published one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.nn.exporting import exporting
from finewave.nn.warping import pixel_grid, sample_at

STORED = 2**26
"""Pairs of pixels whose correlations are kept, 268 MB: those of images of 724 x 724 pixels. They grow with the fourth
power of the side; of larger images they are computed in each iteration again, for some of the pixels at a time."""


def _norm(kind: str, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.InstanceNorm2d(channels)


class ResidualBlock(nn.Module):
    """conv-norm-ReLU twice, plus the input (or its strided 1 x 1 convolution), ReLU."""

    def __init__(self, in_channels: int, channels: int, norm: str, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1)
        self.norm1 = _norm(norm, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.norm2 = _norm(norm, channels)
        self.downsample: nn.Sequential | None = None
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(in_channels, channels, 1, stride), _norm(norm, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block: (B, a, H, W) to (B, b, H / stride, W / stride)."""
        y = F.relu(self.norm1(self.conv1(x)))
        y = F.relu(self.norm2(self.conv2(y)))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Encoder(nn.Module):
    """Features at an eighth of the size (section 3.1): (B, 3, H, W) to (B, out, H/8, W/8)."""

    def __init__(self, out_channels: int, norm: str, width: int = 64) -> None:
        super().__init__()
        w1, w2, w3 = width, width * 3 // 2, width * 2
        self.conv1 = nn.Conv2d(3, w1, 7, 2, 3)
        self.norm1 = _norm(norm, w1)
        self.layer1 = nn.Sequential(ResidualBlock(w1, w1, norm), ResidualBlock(w1, w1, norm))
        self.layer2 = nn.Sequential(ResidualBlock(w1, w2, norm, 2), ResidualBlock(w2, w2, norm))
        self.layer3 = nn.Sequential(ResidualBlock(w2, w3, norm, 2), ResidualBlock(w3, w3, norm))
        self.conv2 = nn.Conv2d(w3, out_channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Encode an image in [-1, 1]."""
        # Dark scenes are near -1, where bfloat16 has steps of 0.004: full precision up to the first normalisation.
        with torch.autocast(image.device.type, enabled=False):
            x = F.relu(self.norm1(self.conv1(image)))
        return self.conv2(self.layer3(self.layer2(self.layer1(x))))


class Correlation:
    """All-pairs correlation of two feature maps as a pyramid over the second (section 3.2), and its lookup.

    Parameters
    ----------
    first, second : Tensor (B, D, h, w)
    levels : int
        Each halves the second map once more, down to one pixel.
    radius : int
        Of the square neighbourhood that `lookup` reads at each level.
    """

    def __init__(self, first: Tensor, second: Tensor, levels: int = 4, radius: int = 4) -> None:
        self.levels, self.radius, self.size = levels, radius, second.shape[2:]
        with torch.autocast(first.device.type, enabled=False):
            wide = torch.promote_types(first.dtype, torch.float32)
            # not the product is divided: of all pairs, one copy is enough
            self.first = (first.to(wide) / first.shape[1] ** 0.5).flatten(2)
            self.second = second.to(wide).flatten(2)
        pixels, others = self.first.shape[2], self.second.shape[2]
        at_once = torch.is_grad_enabled() or exporting() or len(first) * pixels * others <= STORED
        step = pixels if at_once else max(1, STORED // (len(first) * others))
        self.parts = [slice(start, min(start + step, pixels)) for start in range(0, pixels, step)]
        self.stored = self._pyramid(self.parts[0]) if at_once else None

    def _pyramid(self, part: slice) -> list[Tensor]:
        """Return the correlations (B n, 1, h', w') of some of the pixels of the first map, by level."""
        with torch.autocast(self.first.device.type, enabled=False):
            volume = (self.first[:, :, part].transpose(1, 2) @ self.second).reshape(-1, 1, *self.size)
        pyramid = [volume]
        for _ in range(self.levels - 1):
            pyramid.append(F.avg_pool2d(pyramid[-1], 2))
        return pyramid

    def lookup(self, coordinates: Tensor) -> Tensor:
        """Return correlations (B, L (2r + 1)^2, h, w) around ``coordinates`` (B, 2, h, w), in pixels of the second.

        Within a level, x is the slower of the two displacements, as in the published weights.
        """
        batch, _, height, width = coordinates.shape
        d = torch.arange(-self.radius, self.radius + 1, dtype=coordinates.dtype, device=coordinates.device)
        window = torch.stack(torch.meshgrid(d, d, indexing="ij"))[None]
        places = coordinates.flatten(2).transpose(1, 2)
        parts = []
        for part in self.parts:
            centres = places[:, part].reshape(-1, 2, 1, 1)
            pyramid = self._pyramid(part) if self.stored is None else self.stored
            samples = [sample_at(each, centres / 2**level + window) for level, each in enumerate(pyramid)]
            parts.append(torch.cat([each.view(batch, -1, len(d) ** 2) for each in samples], -1))
            del pyramid  # before the next part's is made
        return torch.cat(parts, 1).view(batch, height, width, -1).permute(0, 3, 1, 2)


class SepConvGRU(nn.Module):
    """Gated recurrent unit (section 3.3) of convolutions 1 x 5, then 5 x 1."""

    def __init__(self, hidden: int, inputs: int) -> None:
        super().__init__()
        for i, (kernel, padding) in enumerate((((1, 5), (0, 2)), ((5, 1), (2, 0))), 1):
            for gate in "zrq":
                self.add_module(f"conv{gate}{i}", nn.Conv2d(hidden + inputs, hidden, kernel, padding=padding))

    def forward(self, h: Tensor, x: Tensor) -> Tensor:
        """Return the next hidden state from ``h`` (B, hidden, h, w) and ``x`` (B, inputs, h, w)."""
        for i in "12":
            hx = torch.cat((h, x), 1)
            z = self.get_submodule(f"convz{i}")(hx).sigmoid()
            r = self.get_submodule(f"convr{i}")(hx).sigmoid()
            q = self.get_submodule(f"convq{i}")(torch.cat((r * h, x), 1)).tanh()
            h = (1 - z) * h + z * q
        return h


class MotionEncoder(nn.Module):
    """Features (B, 2w, h, w) of correlations and flow; the last two are the flow itself."""

    def __init__(self, correlations: int, width: int = 64) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(correlations, 4 * width, 1)
        self.convc2 = nn.Conv2d(4 * width, 3 * width, 3, padding=1)
        self.convf1 = nn.Conv2d(2, 2 * width, 7, padding=3)
        self.convf2 = nn.Conv2d(2 * width, width, 3, padding=1)
        self.conv = nn.Conv2d(4 * width, 2 * width - 2, 3, padding=1)

    def forward(self, flow: Tensor, correlations: Tensor) -> Tensor:
        """Encode flow (B, 2, h, w) and correlations (B, L (2r + 1)^2, h, w)."""
        c = F.relu(self.convc2(F.relu(self.convc1(correlations))))
        f = F.relu(self.convf2(F.relu(self.convf1(flow))))
        y = F.relu(self.conv(torch.cat((c, f), 1)))
        return torch.cat((y, flow.to(y.dtype)), 1)


class FlowHead(nn.Module):
    """Hidden state to a step of the flow (B, 2, h, w)."""

    def __init__(self, hidden: int, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(hidden, 4 * width, 3, padding=1)
        self.conv2 = nn.Conv2d(4 * width, 2, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        """Apply the head."""
        return self.conv2(F.relu(self.conv1(h)))


class UpdateBlock(nn.Module):
    """One iteration (section 3.3): the next hidden state, a step of the flow, weights of the upsampling."""

    def __init__(self, correlations: int, width: int = 64) -> None:
        super().__init__()
        self.encoder = MotionEncoder(correlations, width)
        self.gru = SepConvGRU(2 * width, 4 * width)
        self.flow_head = FlowHead(2 * width, width)
        self.mask = nn.Sequential(
            nn.Conv2d(2 * width, 4 * width, 3, padding=1), nn.ReLU(), nn.Conv2d(4 * width, 576, 1)
        )

    def forward(self, h: Tensor, context: Tensor, correlations: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """Return hidden state (B, 2w, h, w) and flow step (B, 2, h, w)."""
        h = self.gru(h, torch.cat((context, self.encoder(flow, correlations)), 1))
        return h, self.flow_head(h)

    def upsampling_weights(self, h: Tensor) -> Tensor:
        """Return (B, 576, h, w), see `convex_upsample`; a quarter, to balance gradients."""
        return 0.25 * self.mask(h)


def convex_upsample(flow: Tensor, weights: Tensor) -> Tensor:
    """Return the flow (B, 2, 8h, 8w): every fine pixel is a convex combination of 3 x 3 coarse ones (section 3.3).

    Parameters
    ----------
    flow : Tensor (B, 2, h, w)
        In coarse pixels.
    weights : Tensor (B, 576, h, w)
        Logits: 9 neighbours (slowest), 8 rows, 8 columns.
    """
    batch, _, height, width = flow.shape
    share = weights.to(flow.dtype).view(batch, 1, 9, 8, 8, height, width).softmax(2)
    neighbours = F.unfold(8 * flow, 3, padding=1).view(batch, 2, 9, 1, 1, height, width)
    fine = (share * neighbours).sum(2)  # (B, 2, 8, 8, h, w)
    return fine.permute(0, 1, 4, 2, 5, 3).reshape(batch, 2, 8 * height, 8 * width)


class RAFT(nn.Module):
    """Optical flow from the first image to the second.

    A frozen network (no parameter with a gradient) stays in evaluation mode, or the statistics of its batch
    normalisation would drift.

    Parameters
    ----------
    width : int
        w; 64 is the published "basic" network, with 5.3 million parameters.
    iterations : int
        Refinements.
    levels, radius : int
        Of the correlation pyramid and its lookup.
    """

    def __init__(self, width: int = 64, iterations: int = 12, levels: int = 4, radius: int = 4) -> None:
        super().__init__()
        self.iterations, self.levels, self.radius, self.width = iterations, levels, radius, width
        self.feature_encoder = Encoder(4 * width, "instance", width)
        self.context_encoder = Encoder(4 * width, "batch", width)
        self.update = UpdateBlock(levels * (2 * radius + 1) ** 2, width)

    def train(self, mode: bool = True) -> RAFT:
        """Set the mode; see the class."""
        return super().train(mode and any(p.requires_grad for p in self.parameters()))

    def forward_all(self, first: Tensor, second: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the flow after every iteration, (B, 2, H, W) each, and the last coarse one, (B, 2, H/8, W/8)."""
        return self._refine(first, second, only_last=False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the flow (B, 2, H, W) in pixels, x then y: first(p) = second(p + flow(p)).

        Parameters
        ----------
        first, second : Tensor (B, 3, H, W)
            In [0, 1]; H and W are multiples of 8 and at least 64, so that the coarsest correlations have a pixel.
        """
        return self._refine(first, second, only_last=True)[0][-1]

    def _refine(self, first: Tensor, second: Tensor, only_last: bool) -> tuple[list[Tensor], Tensor]:
        a, b = self.feature_encoder(torch.cat((2 * first - 1, 2 * second - 1))).chunk(2)
        correlation = Correlation(a, b, self.levels, self.radius)
        h, context = self.context_encoder(2 * first - 1).chunk(2, 1)
        h, context = h.tanh(), context.relu()
        start = pixel_grid(h.shape[2], h.shape[3], h)
        coordinates = start.expand(len(h), -1, -1, -1)
        flows = []
        for i in range(self.iterations):
            coordinates = coordinates.detach()
            correlations = correlation.lookup(coordinates).to(h.dtype)
            h, step = self.update(h, context, correlations, (coordinates - start).to(h.dtype))
            coordinates = coordinates + step.to(coordinates.dtype)
            if i == self.iterations - 1 or not only_last:
                flows.append(convex_upsample(coordinates - start, self.update.upsampling_weights(h)))
        return flows, coordinates - start


def sequence_loss(flows: list[Tensor], truth: Tensor, valid: Tensor | None = None, gamma: float = 0.8) -> Tensor:
    """Return sum_i gamma^(N - i) |f_i - truth|, eq. (7) of arXiv 2003.12039, with the mean over pixels and axes.

    Parameters
    ----------
    flows : list of Tensor (B, 2, H, W)
        f_1 ... f_N.
    truth : Tensor (B, 2, H, W)
    valid : Tensor (B, 1, H, W), optional
        1 where the truth is valid, 0 elsewhere.
    gamma : float
        Weight of an iteration relative to the next.
    """
    valid = torch.ones_like(truth[:, :1]) if valid is None else valid
    count = (2 * valid.sum()).clamp(min=1)
    errors = [((flow - truth).abs() * valid).sum() / count for flow in flows]
    return torch.stack([gamma ** (len(flows) - 1 - i) * error for i, error in enumerate(errors)]).sum()
