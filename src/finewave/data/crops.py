"""Training samples: crops of prepared scenes with their low-resolution and multispectral counterparts."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from finewave.data.store import Store
from finewave.errors import InputError
from finewave.imaging.blind import random_degradation
from finewave.imaging.degradation import degrade
from finewave.imaging.sensors import apply_response

Sample = dict[str, Tensor]
AHEAD = 2  # batches made while the network works on the one before


class Scene:
    """One scene with its degraded versions, computed once: crops cut from both halves of the grid match.

    Attributes
    ----------
    hr_hsi : ndarray (C, H, W)
        As stored; ``full_scale`` is 1. In memory the bands of a pixel lie together, so that crops are read in
        whole rows.
    lr_hsi : Tensor (C, h, w)
        Degraded, in [0, 1]; laid out in the same way.
    """

    def __init__(self, name: str, values: np.ndarray, full_scale: float, scale: int, degradation: dict[str, Any]):
        H, W = (n - n % scale for n in values.shape[1:])
        self.name, self.full_scale = name, full_scale
        lr_hsi = degrade(torch.from_numpy(values[:, :H, :W].astype(np.float32)) / full_scale, scale, **degradation)
        self.hr_hsi = np.ascontiguousarray(values[:, :H, :W].transpose(1, 2, 0)).transpose(2, 0, 1)
        self.lr_hsi = lr_hsi.permute(1, 2, 0).contiguous().permute(2, 0, 1)

    def whole(self, response: np.ndarray) -> Sample:
        """Return the whole scene as a batch of one, see `Crops`."""
        hr_hsi = torch.from_numpy(self.hr_hsi.astype(np.float32, order="C")) / self.full_scale
        sample = {"hr_hsi": hr_hsi, "lr_hsi": self.lr_hsi.contiguous()}
        return with_ms({key: value[None] for key, value in sample.items()}, response)


def with_ms(batch: Sample, response: np.ndarray) -> Sample:
    """Add the multispectral images that the response makes of the hyperspectral ones.

    Mixing bands and degrading commute, so the LR-MSI made from the LR-HSI is the degraded HR-MSI.
    """
    batch["hr_msi"] = apply_response(response, batch["hr_hsi"])
    batch["lr_msi"] = apply_response(response, batch["lr_hsi"])
    return batch


def load_scenes(store: Store, names: list[str], scale: int, degradation: dict[str, Any]) -> list[Scene]:
    """Read the named scenes and degrade each once."""
    return [Scene(name, store.read(name), store.full_scale(name), scale, degradation) for name in names]


class Crops:
    """An endless, reproducible stream of batches; also a stateful data loader (``state_dict``).

    Batch number n depends on the seed and n alone, so a run that resumes at step n sees what it would have seen.

    Parameters
    ----------
    scenes : list of Scene
        All of one band count.
    response : ndarray (c, C)
        Sensor response on the scenes' bands.
    scale : int
        s.
    crop : int
        Side in HR pixels, a multiple of ``scale``.
    batch_size : int
        Crops in a batch.
    sampling : {"random", "grid"}
        Anywhere on the LR grid, or one of the non-overlapping crops of the published protocol.
    augment : bool
        One of the eight flips and rotations, at random.
    gain : tuple of float
        Range of a random brightness factor (log-uniform); (1, 1) for none. Exposure is no property of a material.
    mix : float
        Part of the crops that are weighted means of two (mixup; Zhang et al., ICLR 2018). The observation model is
        linear, so mixtures are as true as what they are made of, and fill the space between few materials.
    blind : bool
        Each crop is degraded by itself, with options drawn by `random_degradation`, not cut from the degraded scene.
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
        scenes: list[Scene],
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
        steps: int = 100,
        seed: int = 0,
    ) -> None:
        if crop % scale:
            raise InputError(f"data.crop={crop} is no multiple of the scale {scale}")
        if sampling not in ("random", "grid"):
            raise InputError(f"data.sampling={sampling!r}; it must be 'random' or 'grid'")
        for scene in scenes:
            if min(scene.hr_hsi.shape[1:]) < crop:
                raise InputError(f"scene {scene.name!r} is {scene.hr_hsi.shape[1:]}, smaller than data.crop={crop}")
        self.scenes, self.response, self.scale, self.crop = scenes, response, scale, crop
        self.batch_size, self.sampling, self.augment, self.gain = batch_size, sampling, augment, tuple(gain)
        self.mix, self.blind, self.steps, self.seed, self.start = mix, blind, steps, seed, 0

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Sample]:
        for batch in _ahead(self.batch, range(self.start, self.start + self.steps)):
            self.start += 1  # of what was handed out, not of what was made ahead: a checkpoint loses nothing
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
        size, bands = self.crop // self.scale, self.scenes[0].hr_hsi.shape[0]
        sides = {"hr_hsi": self.crop, "lr_hsi": size}
        # made with NumPy: a thread of PyTorch's would bring a second team of threads that fight for the same cores
        batch = {key: np.empty((self.batch_size, side, side, bands), np.float32) for key, side in sides.items()}
        for i in range(self.batch_size):
            self._crop(random, {key: images[i] for key, images in batch.items()})
            if random.uniform() < self.mix:
                other = {key: np.empty_like(images[i]) for key, images in batch.items()}
                self._crop(random, other)
                share = random.uniform()
                for key, images in batch.items():
                    images[i] *= share
                    images[i] += np.multiply(other[key], 1 - share, out=other[key])
        response = self.response.T.astype(np.float32)
        for ms, hs in (("hr_msi", "hr_hsi"), ("lr_msi", "lr_hsi")):  # as `with_ms`
            batch[ms] = batch[hs] @ response
        return {key: _ready(images) for key, images in batch.items()}

    def _crop(self, random: np.random.Generator, out: dict[str, np.ndarray]) -> None:
        """Cut a crop into ``out``, (crop, crop, C) and (crop / s, crop / s, C)."""
        scene, s, size = self.scenes[random.integers(len(self.scenes))], self.scale, self.crop // self.scale
        _, h, w = scene.lr_hsi.shape
        if self.sampling == "grid":
            y, x = size * random.integers(h // size), size * random.integers(w // size)
        else:
            y, x = random.integers(h - size + 1), random.integers(w - size + 1)
        hr_hsi = scene.hr_hsi[:, y * s : (y + size) * s, x * s : (x + size) * s]
        lr_hsi = scene.lr_hsi.numpy()[:, y : y + size, x : x + size]
        gain = float(np.exp(random.uniform(*np.log(self.gain))))
        turns, flip = (int(random.integers(4)), bool(random.integers(2))) if self.augment else (0, False)
        factors = {"hr_hsi": gain / scene.full_scale, "lr_hsi": gain}
        for key, image in (("hr_hsi", hr_hsi), ("lr_hsi", lr_hsi)):
            turned = np.rot90(image, turns, (1, 2)).transpose(1, 2, 0)
            np.multiply(turned[:, ::-1] if flip else turned, np.float32(factors[key]), out=out[key])
        if self.blind:
            observed = degrade(torch.from_numpy(out["hr_hsi"]).permute(2, 0, 1), s, **random_degradation(random, s))
            out["lr_hsi"][:] = observed.permute(1, 2, 0).numpy()


def _ready(images: np.ndarray) -> Tensor:
    """Return images (B, H, W, C) as a tensor (B, C, H, W); where there is a GPU, in memory that it reads by itself."""
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
        except BaseException as error:  # shown where the batch is asked for
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
