"""Training samples: crops of prepared scenes with their low-resolution and multispectral counterparts."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from finewave.datasets.store import Store
from finewave.errors import InputError, unknown_name
from finewave.physics.degradation import degrade
from finewave.physics.random_degradation import random_degradation
from finewave.physics.sensors import apply_response
from finewave.types import CropSampling

Sample = dict[str, Tensor]
Place = tuple[int, int, int]
AHEAD = 2  # batches prepared ahead of the network


class DegradedScene:
    """A scene with its degraded versions, computed once, so that crops of HR and LR images match.

    Attributes
    ----------
    hr_hsi : ndarray (C, H, W)
        As stored; ``full_scale`` is 1. Bands of a pixel are contiguous in memory, so that crops are read in whole rows.
    lr_hsi : Tensor (C, h, w)
        Degraded, in [0, 1]; same memory layout.
    hr_msi, lr_msi : ndarray (c, H, W) and Tensor (c, h, w), or None
        The same for a measured multispectral image of the same area, used instead of a simulated one. An image k times
        as large is resampled to the hyperspectral pixels by MATLAB's bicubic kernel.
    """

    def __init__(
        self,
        name: str,
        values: np.ndarray,
        full_scale: float,
        scale: int,
        degradation: dict[str, Any],
        msi: np.ndarray | None = None,
    ):
        if msi is not None:
            times = max(1, msi.shape[1] // values.shape[1])
            if msi.shape[1:] != tuple(times * n for n in values.shape[1:]):
                raise InputError(f"scene {name!r}: {msi.shape[1:]} multispectral pixels for {values.shape[1:]} others")
            if times > 1:
                msi = degrade(torch.from_numpy(msi.astype(np.float32)), times, kernel="bicubic").numpy()
        self.name, self.full_scale = name, full_scale
        self.hr_hsi, self.lr_hsi = self._pair(values, full_scale, scale, _seeded(degradation, name, "hsi"))
        self.hr_msi: np.ndarray | None = None
        self.lr_msi: Tensor | None = None
        if msi is not None:
            self.hr_msi, self.lr_msi = self._pair(msi, full_scale, scale, _seeded(degradation, name, "msi"))

    @staticmethod
    def _pair(
        values: np.ndarray, full_scale: float, scale: int, degradation: dict[str, Any]
    ) -> tuple[np.ndarray, Tensor]:
        H, W = (n - n % scale for n in values.shape[1:])
        low = degrade(torch.from_numpy(values[:, :H, :W].astype(np.float32)) / full_scale, scale, **degradation)
        high = np.ascontiguousarray(values[:, :H, :W].transpose(1, 2, 0)).transpose(2, 0, 1)
        return high, low.permute(1, 2, 0).contiguous().permute(2, 0, 1)

    @property
    def images(self) -> dict[str, np.ndarray]:
        """The images that crops are cut from, by name: as stored (``hr_...``) or in [0, 1] (``lr_...``)."""
        images = {"hr_hsi": self.hr_hsi, "lr_hsi": self.lr_hsi.numpy()}
        if self.hr_msi is not None and self.lr_msi is not None:
            images |= {"hr_msi": self.hr_msi, "lr_msi": self.lr_msi.numpy()}
        return images

    def whole(self, response: np.ndarray) -> Sample:
        """Return the whole scene as a batch of one, see `Crops`."""
        sample = {}
        for key, image in self.images.items():
            tensor = torch.from_numpy(image.astype(np.float32, order="C"))
            sample[key] = (tensor / self.full_scale if key.startswith("hr_") else tensor)[None]
        return sample if "hr_msi" in sample else with_ms(sample, response)


def _seeded(degradation: dict[str, Any], scene: str, image: str) -> dict[str, Any]:
    """Return a degradation with a noise seed for one image of a scene: different for each image, equal in every run.

    Scenes of different splits have different names, so validation has other noise than training. A seed in
    ``degradation`` changes the noise of all scenes.
    """
    if not degradation.get("noise"):
        return degradation
    words = f"{degradation.get('seed') or 0}/{scene}/{image}"
    return {**degradation, "seed": int.from_bytes(hashlib.sha256(words.encode()).digest()[:7], "big")}


def with_ms(batch: Sample, response: np.ndarray) -> Sample:
    """Add the multispectral images simulated from the hyperspectral ones.

    Mixing bands and degrading commute, so the LR-MSI made from the LR-HSI is the degraded HR-MSI.
    """
    batch["hr_msi"] = apply_response(response, batch["hr_hsi"])
    batch["lr_msi"] = apply_response(response, batch["lr_hsi"])
    return batch


def load_scenes(
    store: Store, names: list[str], scale: int, degradation: dict[str, Any], msi: str | None = None
) -> list[DegradedScene]:
    """Read the named scenes and degrade each once; ``msi`` is the companion with measured multispectral images."""

    def load(name: str) -> DegradedScene:
        measured = None if msi is None else store.read(name, msi)
        return DegradedScene(name, store.read(name), store.full_scale(name), scale, degradation, measured)

    return [load(name) for name in names]


def grid_places(sizes: Iterable[Sequence[int]], crop: int) -> list[Place]:
    """Return the non-overlapping crops of scenes of ``sizes`` (H, W) in HR pixels: scene, row and column of each."""
    return [
        (scene, row, column)
        for scene, (height, width) in enumerate(sizes)
        for row in range(height // crop)
        for column in range(width // crop)
    ]


class Crops:
    """An endless, reproducible stream of batches; also a stateful data loader (``state_dict``).

    Batch number n depends only on the seed and n, so a run that resumes at step n gets the same batches.

    Parameters
    ----------
    scenes : list of DegradedScene
        Scenes with equal band counts.
    response : ndarray (c, C)
        Sensor response on the scenes' bands; measured multispectral images are used unchanged.
    scale : int
        s.
    crop : int
        Side in HR pixels, a multiple of ``scale``.
    batch_size : int
        Crops in a batch.
    sampling : {"random", "grid", "area"}
        Positions of crops: any position on the LR grid of any scene; the non-overlapping crops of the published
        protocol, each once per epoch; or any position, with scenes weighted by their number of positions.
    augment : bool
        One of the eight flips and rotations, at random.
    roll : bool
        Roll half of the crops by half their height before rotation, as in the public code of MulSR. Crops then need at
        least two LR pixels.
    gain : tuple of float
        Range of a random brightness factor (log-uniform); (1, 1) for none. Exposure is not a property of a material.
    mix : float
        Fraction of crops that are weighted means of two (mixup; Zhang et al., ICLR 2018). The observation model is
        linear, so mixtures remain consistent.
    blind : bool
        Degrade each crop separately, with options drawn by `random_degradation`, instead of cutting it from the
        degraded scene; likewise for measured multispectral crops.
    steps : int
        Length of one pass.
    seed : int
        Of the whole stream.

    Yields
    ------
    dict of Tensor
        ``hr_hsi`` (B, C, H, W), ``lr_hsi`` (B, C, h, w), ``hr_msi`` (B, c, H, W), ``lr_msi`` (B, c, h, w); float32.
    """

    def __init__(
        self,
        scenes: list[DegradedScene],
        response: np.ndarray,
        *,
        scale: int,
        crop: int = 128,
        batch_size: int = 8,
        sampling: str = "random",
        augment: bool = True,
        gain: tuple[float, float] = (1.0, 1.0),
        mix: float = 0.0,
        blind: bool = False,
        roll: bool = False,
        steps: int = 100,
        seed: int = 0,
    ) -> None:
        if crop % scale:
            raise InputError(f"data.crop={crop} is not a multiple of the scale {scale}")
        if sampling not in get_args(CropSampling):
            raise unknown_name("sampling of crops", sampling, get_args(CropSampling))
        for scene in scenes:
            if min(scene.hr_hsi.shape[1:]) < crop:
                raise InputError(f"scene {scene.name!r} is {scene.hr_hsi.shape[1:]}, smaller than data.crop={crop}")
        self.scenes, self.response, self.scale, self.crop = scenes, response, scale, crop
        self.batch_size, self.sampling, self.augment, self.gain = batch_size, sampling, augment, tuple(gain)
        self.mix, self.blind, self.steps, self.seed, self.start = mix, blind, steps, seed, 0
        self.roll, self.rank, self.world = roll, 0, 1
        places = np.array([np.prod([n - crop // scale + 1 for n in scene.lr_hsi.shape[1:]]) for scene in scenes])
        self.shares = places / places.sum()
        self.grid = grid_places([scene.hr_hsi.shape[1:] for scene in scenes], crop)

    def share(self, rank: int, world: int) -> None:
        """Return only every ``world``-th batch, from number ``rank`` on, for distributed training."""
        self.rank, self.world = rank, world

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Sample]:
        first = self.start * self.world + self.rank
        for batch in _ahead(self.batch, range(first, first + self.steps * self.world, self.world)):
            self.start += 1  # counts returned batches, not those prepared ahead, so that a checkpoint skips none
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Position in the stream."""
        return {"start": self.start}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue from a position."""
        self.start = state["start"]

    def batch(self, number: int) -> Sample:
        """Return batch ``number`` of the stream, in the channels-last layout that convolutions are fastest in."""
        random = np.random.default_rng((self.seed, number))
        bands = {key: len(image) for key, image in self.scenes[0].images.items()}
        sides = {key: self.crop if key.startswith("hr_") else self.crop // self.scale for key in bands}
        # NumPy: PyTorch in this thread would start a second thread pool competing for the same cores
        batch = {key: np.empty((self.batch_size, side, side, bands[key]), np.float32) for key, side in sides.items()}
        turn = self._turn(number) if self.sampling == "grid" else [None] * self.batch_size
        for i, place in enumerate(turn):
            self._crop(random, {key: images[i] for key, images in batch.items()}, place)
            if random.uniform() < self.mix:
                other = {key: np.empty_like(images[i]) for key, images in batch.items()}
                self._crop(random, other)
                share = random.uniform()
                for key, images in batch.items():
                    images[i] *= share
                    images[i] += np.multiply(other[key], 1 - share, out=other[key])
        if "hr_msi" not in batch:
            response = self.response.T.astype(np.float32)
            for ms, hs in (("hr_msi", "hr_hsi"), ("lr_msi", "lr_hsi")):  # as `with_ms`
                batch[ms] = batch[hs] @ response
        return {key: _ready(images) for key, images in batch.items()}

    def _turn(self, number: int) -> list[Place | None]:
        """Return the positions of the next batch; every epoch has its own order."""
        count = len(self.grid)
        turns = range(number * self.batch_size, (number + 1) * self.batch_size)
        orders = {
            epoch: np.random.default_rng((self.seed, 1, epoch)).permutation(count)
            for epoch in {turn // count for turn in turns}
        }
        return [self.grid[orders[turn // count][turn % count]] for turn in turns]

    def _crop(self, random: np.random.Generator, out: dict[str, np.ndarray], place: Place | None = None) -> None:
        """Cut a crop into ``out``, (crop, crop, C) and (crop / s, crop / s, C), and of measured ones of c bands."""
        s, size, count = self.scale, self.crop // self.scale, len(self.scenes)
        if self.sampling == "grid":
            number, row, column = place or self.grid[random.integers(len(self.grid))]
            y, x = size * row, size * column
        else:
            number = int(random.choice(count, p=self.shares) if self.sampling == "area" else random.integers(count))
            _, h, w = self.scenes[number].lr_hsi.shape
            y, x = int(random.integers(h - size + 1)), int(random.integers(w - size + 1))
        scene = self.scenes[number]
        gain = float(np.exp(random.uniform(*np.log(self.gain))))
        turns, flip = (int(random.integers(4)), bool(random.integers(2))) if self.augment else (0, False)
        rolled = size // 2 if self.roll and random.integers(2) else 0  # LR rows, so that both images stay aligned
        for key, image in scene.images.items():
            t, factor = (s, gain / scene.full_scale) if key.startswith("hr_") else (1, gain)
            part = image[:, y * t : (y + size) * t, x * t : (x + size) * t]
            if rolled:
                part = np.roll(part, rolled * t, axis=1)
            turned = np.rot90(part, turns, (1, 2)).transpose(1, 2, 0)
            np.multiply(turned[:, ::-1] if flip else turned, np.float32(factor), out=out[key])
        if self.blind:
            options = random_degradation(random, s)
            for high, low in (("hr_hsi", "lr_hsi"), ("hr_msi", "lr_msi")):
                if high in out:
                    observed = degrade(torch.from_numpy(out[high]).permute(2, 0, 1), s, **options)
                    out[low][:] = observed.permute(1, 2, 0).numpy()


def _ready(images: np.ndarray) -> Tensor:
    """Return images (B, H, W, C) as a tensor (B, C, H, W); where there is a GPU, in pinned memory."""
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2)
    return tensor.pin_memory() if torch.cuda.is_available() else tensor


def _ahead(make: Callable[[int], Sample], numbers: range) -> Iterator[Sample]:
    """Yield ``make(n)`` for each number in order, made by a thread while the caller works with those before."""
    ready: queue.Queue[Sample | BaseException] = queue.Queue(AHEAD)
    stop = threading.Event()

    def put(item: Sample | BaseException) -> None:
        while not stop.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except queue.Full:
                pass

    def work() -> None:
        try:
            for number in numbers:
                if stop.is_set():
                    return
                put(make(number))
        except BaseException as error:  # raised where the batch is requested
            put(error)

    thread = threading.Thread(target=work, name="crops", daemon=True)
    thread.start()
    try:
        for _ in numbers:
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
