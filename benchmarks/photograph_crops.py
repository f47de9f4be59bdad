"""Random crops of photographs and of scenes seen by random cameras, cut where the network trains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from finewave.errors import InputError

PHOTOGRAPHS = 0.4
"""Part of the crops that are of photographs."""
DULL = 0.023
"""Spread of a scene's middle band below which a crop is drawn anew, twice at most."""
Image = NDArray[np.float32]


class Pool:
    """Images of any sizes on one device, from which crops of all are cut at once.

    Parameters
    ----------
    images : sequence of ndarray (C, y, x)
        In [0, 1]; kept in half precision on a GPU.
    side : int
        Of a crop.
    device : torch.device

    Raises
    ------
    InputError
        If an image is smaller than a crop.
    """

    def __init__(self, images: Sequence[Image], side: int, device: torch.device) -> None:
        # copies, as a view would keep all bands
        self.middles = [image[len(image) // 2].copy() for image in images]
        self.sizes = np.array([image.shape[1:] for image in images])
        if self.sizes.min() < side:
            raise InputError(f"an image has a side of {self.sizes.min()} pixels; crops have {side}")
        dtype = torch.float16 if device.type == "cuda" else torch.float32
        # all in one row of pixels (n, C), so that one look-up cuts crops of images of different sizes
        pixels = [torch.from_numpy(image.reshape(len(image), -1).T).to(device, dtype) for image in images]
        self.starts = np.cumsum([0, *(len(each) for each in pixels[:-1])])
        self.pixels, self.side, self.device = torch.cat(pixels), side, device

    def __len__(self) -> int:
        return len(self.sizes)

    def places(self, numbers: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
        """Return random corners (n, 2) of crops of the images of ``numbers`` (n,)."""
        return random.integers(self.sizes[numbers] - self.side + 1)

    def cut(self, numbers: NDArray[np.int64], places: NDArray[np.int64], turns: NDArray[np.bool_]) -> Tensor:
        """Return crops (n, side, side, C), float32, flipped in rows or columns and transposed by ``turns`` (n, 3)."""
        place = self._on(places)
        rows_flipped, columns_flipped, swapped = self._on(turns).T[:, :, None, None]
        line = torch.arange(self.side, device=self.device)
        down, across = line[None, :, None], line[None, None, :]
        rows, columns = torch.where(swapped, across, down), torch.where(swapped, down, across)
        rows = torch.where(rows_flipped, self.side - 1 - rows, rows) + place[:, 0, None, None]
        columns = torch.where(columns_flipped, self.side - 1 - columns, columns) + place[:, 1, None, None]
        widths, starts = (self._on(each)[:, None, None] for each in (self.sizes[numbers, 1], self.starts[numbers]))
        return self.pixels[starts + rows * widths + columns].float()

    def spread(self, numbers: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the standard deviation (n,) of every fourth pixel of the middle band of crops."""
        side = self.side  # on the processor: a GPU would be waited for
        each = zip(numbers, places, strict=True)
        return np.array([self.middles[n][i : i + side : 4, j : j + side : 4].std() for n, (i, j) in each])

    def _on(self, array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device, non_blocking=True)


class Crops:
    """Random crops (batch, 3, side, side) of photographs and scenes.

    Parameters
    ----------
    photographs : sequence of ndarray (3, y, x)
        Linear, 0 to 1.
    scenes : sequence of ndarray (C, y, x)
    response : ndarray (3, C)
        Of the camera that half of the scenes' crops are seen by; the others are seen by random ones.
    wavelengths : ndarray (C,)
        nm.
    side, batch : int
        HR pixels of a crop; crops at a time.
    share : float
        Part of the crops that are of photographs.
    seed : int
    device : torch.device
        Of the crops.
    """

    def __init__(
        self,
        photographs: Sequence[Image],
        scenes: Sequence[Image],
        response: Image,
        wavelengths: Image,
        *,
        side: int,
        batch: int,
        share: float = PHOTOGRAPHS,
        seed: int = 0,
        device: torch.device | None = None,
    ) -> None:
        device = device or torch.device("cpu")
        self.photographs, self.scenes = Pool(photographs, side, device), Pool(scenes, side, device)
        self.response, self.wavelengths, self.batch_size, self.share = response, wavelengths, batch, share
        self.random, self.device = np.random.default_rng(seed), device

    def batch(self) -> Tensor:
        """Return the next crops, flipped and turned at random."""
        of_photographs = int(self.random.binomial(self.batch_size, self.share))
        parts = []
        if of_photographs:
            weights = np.stack([self._mixture() for _ in range(of_photographs)])
            numbers = self.random.integers(len(self.photographs), size=of_photographs)
            places = self.photographs.places(numbers, self.random)
            parts.append(self._seen(self.photographs, numbers, places, weights, (-1.2, 0.2)))
        if of_scenes := self.batch_size - of_photographs:
            cameras = [self.response if self.random.random() < 0.5 else self._camera() for _ in range(of_scenes)]
            numbers = self.random.integers(len(self.scenes), size=of_scenes)
            parts.append(self._seen(self.scenes, numbers, self._lively(numbers), np.stack(cameras), (-0.2, 0.5)))
        return torch.cat(parts)

    def _seen(
        self,
        pool: Pool,
        numbers: NDArray[np.int64],
        places: NDArray[np.int64],
        weights: NDArray[np.floating],
        exposures: tuple[float, float],
    ) -> Tensor:
        """Return crops whose bands are mixed by ``weights`` (n, 3, C), at random exposures."""
        gains = np.exp(self.random.uniform(*exposures, len(numbers)))
        mixed = torch.from_numpy((weights * gains[:, None, None]).astype(np.float32)).to(self.device, non_blocking=True)
        crops = pool.cut(numbers, places, self.random.random((len(numbers), 3)) < 0.5)
        seen = crops.flatten(1, 2) @ mixed.mT
        return seen.view(*crops.shape[:3], -1).permute(0, 3, 1, 2)  # channels last, as the network's weights

    def _lively(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return corners (n, 2) of crops of scenes, drawn anew, twice at most, where little is to be seen."""
        places = self.scenes.places(numbers, self.random)
        for _ in range(2):
            dull = self.scenes.spread(numbers, places) <= DULL
            if not dull.any():
                break
            places[dull] = self.scenes.places(numbers[dull], self.random)
        return places

    def _mixture(self) -> NDArray[np.float64]:
        """Return how a photograph's channels (3, 3) are mixed: a camera's have more in common than those of sRGB."""
        share = self.random.uniform(0, 0.6)
        return np.asarray((1 - share) * np.eye(3) + share * self.random.dirichlet(np.full(3, 0.5), 3))

    def _camera(self) -> NDArray[np.float64]:
        """Return the response (3, C) of a camera with Gaussian bands, red first."""
        centres = np.array([600.0, 540.0, 460.0]) + self.random.normal(0, 20, 3)
        widths = self.random.uniform(20, 45, 3)
        bands = np.exp(-0.5 * ((self.wavelengths - centres[:, None]) / widths[:, None]) ** 2)
        return np.asarray(bands / bands.sum(1, keepdims=True))
