"""Spectra of the training pixels whose colour is nearest: no network, and hard to beat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn import functional as F

from finewave.errors import InputError
from finewave.physics.sensors.estimation import linear_response
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least

DARK = 3e-4
"""Mean of the MS bands below which a pixel is dark: noise alone decides about its colour."""
AROUND = 8
"""Stored means that a pixel's spectrum is the mean of; one alone would make steps in smooth colours."""
AT_ONCE = 1 << 16
"""Pixels that are looked up together, which bounds memory."""


def tree_of(points: NDArray[np.float64]) -> cKDTree:
    """Return the tree of points (N, d).

    Not balanced: where denormal numbers are flushed to zero (`torch.set_flush_denormal`), SciPy's balanced trees end
    the process if a coordinate of most points is zero.
    """
    return cKDTree(points, balanced_tree=False)


class NearestNeighbours(SRNetwork):
    """Relative spectra of the training pixels of nearest colour, averaged, then made consistent with the camera.

    Two pixels are as near as their ``features``: chromaticity and, weighted by ``brightness``, the logarithm of the
    mean over the MS bands. Averaging the nearest ``neighbours`` of ``pixels`` training pixels at every pixel of an
    image takes a minute a megapixel. So it is done once, around each of ``nodes`` training pixels, and an image asks
    for the nearest nodes alone. The spectrum P of a pixel with MS bands X is its brightness times the mean over those;
    ``P + R⁺ (X - R P)`` is the nearest one that the camera sees as X. R (c, C) is found by least squares over the
    training pixels, to which it is exact where their MS bands were simulated.

    Parameters
    ----------
    ms_bands, hs_bands : int
        c and C.
    neighbours, pixels, nodes : int
        >= 1.
    brightness : float
        >= 0.
    """

    task = "ssr"
    prepares = True
    products = 100_000
    """A look-up in the tree takes as long, 13 microseconds on one core with AVX-512."""
    receptive_field = 0
    export_lacks: ClassVar = dict.fromkeys(("onnx", "pt2"), "it looks up neighbours in a tree of SciPy")
    nodes: Tensor
    spectra: Tensor
    response: Tensor
    used: Tensor

    def __init__(
        self,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        neighbours: int = 64,
        pixels: int = 240_000,
        nodes: int = 10_000,
        brightness: float = 0.1,
    ) -> None:
        super().__init__()
        at_least("knn", 1, ms_bands=ms_bands, hs_bands=hs_bands, neighbours=neighbours, pixels=pixels, nodes=nodes)
        at_least("knn", 0, brightness=brightness)
        self.ms_bands, self.hs_bands = ms_bands, hs_bands
        self.neighbours, self.pixels, self.brightness = neighbours, pixels, brightness
        nodes = min(nodes, pixels)
        # a network that has seen nothing answers in grey, about
        self.register_buffer("nodes", torch.randn(nodes, ms_bands + 1))
        self.register_buffer("spectra", 1 + 0.1 * torch.randn(nodes, hs_bands))
        self.register_buffer("response", (1 + 0.1 * torch.rand(ms_bands, hs_bands)) / hs_bands)
        self.register_buffer("used", torch.tensor(nodes))
        self._tree: cKDTree | None = None

    def features(self, ms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what makes pixels near, (N, c + 1), of their MS bands (N, c).

        Chromaticities are as far apart whatever the number of bands; of three, they are the bands over their sum.
        """
        mean = _brightness(ms)
        return np.hstack([ms / (mean * np.sqrt(3 * ms.shape[1])), self.brightness * np.log(mean)])

    def forward(self, hr_msi: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, H, W) of ``hr_msi`` (B, c, H, W)."""
        B, _, H, W = hr_msi.shape
        wide = torch.promote_types(hr_msi.dtype, torch.float32)
        ms = hr_msi.to(wide).permute(0, 2, 3, 1).flatten(0, 2)  # (N, c)
        response = self.response.to(wide)
        inverse = torch.linalg.pinv(response.double()).to(wide)
        consistent = []
        for some in ms.split(AT_ONCE):
            found = self._look_up(some)
            consistent.append(found + (some - found @ response.T) @ inverse.T)
        return torch.cat(consistent).to(hr_msi.dtype).view(B, H, W, -1).permute(0, 3, 1, 2)

    def _look_up(self, ms: Tensor) -> Tensor:
        """Return the spectra (N, C) around pixels (N, c), as bright as these."""
        tree = self._index()
        features = self.features(ms.detach().cpu().double().numpy())
        _, places = tree.query(features, k=np.arange(1, min(AROUND, tree.n) + 1), workers=torch.get_num_threads())
        relative = F.embedding_bag(torch.from_numpy(places).to(ms.device), self.spectra.to(ms.dtype), mode="mean")
        return relative * ms.mean(1, keepdim=True).clamp(min=DARK)

    def _index(self) -> cKDTree:
        """Return the tree of the nodes, rebuilt if they have changed."""
        # a copy: the tree keeps it, and nodes in double precision may change
        nodes = self.nodes[: int(self.used)].detach().to("cpu", torch.float64, copy=True).numpy()
        if self._tree is None or not np.array_equal(self._tree.data, nodes):
            self._tree = tree_of(nodes)
        return self._tree

    def prepare_from(self, samples: Iterable[Mapping[str, Tensor]], seed: int = 0) -> None:
        """Draw the training pixels, average around the nodes and find the response.

        Parameters
        ----------
        samples : iterable of mappings
            Images ``hr_msi`` (B, c, H, W) and ``hr_hsi`` (B, C, H, W); read once, one at a time. Pixels that are
            not finite are left out.
        seed : int
            Of the draw, in which every pixel has the same chance.
        """
        ms, hs = _draw(samples, self.pixels, seed)
        if not len(ms):
            raise InputError("knn needs training images to look up pixels in; there are none")
        relative = torch.from_numpy(hs / _brightness(ms)).to(self.spectra)
        tree = tree_of(self.features(ms))
        used = min(len(ms), len(self.nodes))
        nearest = np.arange(1, min(self.neighbours, len(ms)) + 1)
        for start in range(0, used, AT_ONCE):
            stop = min(start + AT_ONCE, used)
            _, places = tree.query(tree.data[start:stop], k=nearest, workers=torch.get_num_threads())
            self.spectra[start:stop] = F.embedding_bag(
                torch.from_numpy(places).to(relative.device), relative, mode="mean"
            )
        self.nodes[:used] = torch.from_numpy(tree.data[:used]).to(self.nodes)
        self.nodes[used:], self.spectra[used:] = 0, 0
        self.used.fill_(used)
        self.response.copy_(torch.from_numpy(linear_response(hs.T @ hs, hs.T @ ms)))


def _brightness(ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean (N, 1) over the bands (N, c); of dark pixels `DARK`."""
    return np.maximum(ms.mean(1, keepdims=True), DARK)


def _draw(
    samples: Iterable[Mapping[str, Tensor]], most: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return MS and HS bands (N, c), (N, C) of a limited number of pixels, in random order.

    Every pixel draws a number and the lowest stay, so that no more is held at a time than one image beside them.
    """
    generator = np.random.default_rng(seed)
    drawn, ms, hs = np.empty(0), None, None
    for sample in samples:
        x, y = (sample[name].permute(0, 2, 3, 1).flatten(0, 2).numpy() for name in ("hr_msi", "hr_hsi"))
        numbers = generator.random(len(x))
        limit = np.inf if len(drawn) < most else drawn.max()
        stay = np.flatnonzero((numbers < limit) & np.isfinite(x).all(1) & np.isfinite(y).all(1))
        drawn = np.concatenate([drawn, numbers[stay]])
        ms = x[stay] if ms is None else np.concatenate([ms, x[stay]])
        hs = y[stay] if hs is None else np.concatenate([hs, y[stay]])
        order = np.argsort(drawn)[:most]
        drawn, ms, hs = drawn[order], ms[order], hs[order]
    if ms is None or hs is None:
        return np.empty((0, 1)), np.empty((0, 1))
    return ms.astype(np.float64), hs.astype(np.float64)
