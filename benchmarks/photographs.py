"""Train `residual-sr` on photographs and on scenes seen by random cameras: edges need no spectra.

    python -m benchmarks.photographs -o runs/residual-sr-photographs-x4 --minutes 17
    python -m benchmarks.photographs -o runs/residual-sr-photographs-x4 --minutes 6 --folds 4 --fold 1

Half a thousand photographs (in the folder ``photos`` of the external data) have more edges than the twenty training
scenes of CAVE; those have the noise and lenses of the images that are scored. Validation scenes are seen in the printed
figures alone. Minutes are of processor time. A run that was killed continues where it was when it last printed figures.

With --folds the scenes of training and validation are dealt to folds as by ``finewave evaluate --folds``, and those of
one fold are left out, in a folder of its own: ``runs/residual-sr-photographs-x4-fold-1-of-4``. Once all are there,
``finewave evaluate --model residual-sr-cave-x4 --dataset cave --folds 4`` scores every scene with what left it out.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from torch import Tensor

from benchmarks.averaged_training import soft_absolute, train_average
from finewave.datasets.registry import open_dataset
from finewave.datasets.store import Store
from finewave.errors import InputError
from finewave.evaluation.folds import make_folds, weights_of_fold
from finewave.locations import data_folder
from finewave.physics.rendering.srgb import srgb_to_linear
from finewave.physics.sensors import get_sensor
from finewave.systems.registry import create_model
from finewave.systems.residual_sr.network import ResidualSR
from finewave.zoo.card import describe
from finewave.zoo.model import Model

CROPS, BATCH = {2: 96, 4: 160, 8: 256}, 12
"""HR pixels of a crop by scale: enough LR pixels for the network to look at, for a similar time a step."""
PHOTOGRAPHS = 0.4
"""Part of the crops that are of photographs."""
EVERY = 420.0
"""Seconds between figures."""
DULL = 0.023
"""Spread of a scene's middle band below which a crop is drawn anew, twice at most."""
Image = NDArray[np.float32]


class Crops:
    """Random crops (3, side, side) of photographs and scenes.

    Parameters
    ----------
    photographs : sequence of ndarray (3, y, x)
        Linear, 0 to 1.
    scenes : sequence of ndarray (C, y, x)
    response : ndarray (3, C)
        Of the camera that half of the scenes' crops are seen by; the others are seen by random ones.
    wavelengths : ndarray (C,)
        nm.
    side : int
        HR pixels.
    seed : int
    """

    def __init__(
        self,
        photographs: Sequence[Image],
        scenes: Sequence[Image],
        response: Image,
        wavelengths: Image,
        side: int,
        seed: int,
    ) -> None:
        self.photographs, self.scenes, self.response = photographs, scenes, response
        self.wavelengths, self.side, self.random = wavelengths, side, np.random.default_rng(seed)

    def batch(self) -> Tensor:
        """Return the next crops (BATCH, 3, side, side), flipped and turned at random."""
        return torch.stack([torch.from_numpy(np.ascontiguousarray(self._turned(self._one()))) for _ in range(BATCH)])

    def _one(self) -> Image:
        random = self.random
        if random.random() < PHOTOGRAPHS:
            crop = self._cut(self.photographs[int(random.integers(len(self.photographs)))])
            share = random.uniform(0, 0.6)  # a camera's channels have more in common than those of sRGB
            mix = (1 - share) * np.eye(3) + share * random.dirichlet(np.full(3, 0.5), 3)
            return self._mixed(mix, crop) * np.float32(np.exp(random.uniform(-1.2, 0.2)))
        scene = self.scenes[int(random.integers(len(self.scenes)))]
        for _ in range(3):
            crop = self._cut(scene)
            if crop[len(crop) // 2, ::4, ::4].std() > DULL:
                break
        response = self.response if random.random() < 0.5 else self._camera()
        return self._mixed(response, crop) * np.float32(np.exp(random.uniform(-0.2, 0.5)))

    def _camera(self) -> NDArray[np.float64]:
        """Return the response (3, C) of a camera with Gaussian bands, red first."""
        centres = np.array([600.0, 540.0, 460.0]) + self.random.normal(0, 20, 3)
        widths = self.random.uniform(20, 45, 3)
        bands = np.exp(-0.5 * ((self.wavelengths - centres[:, None]) / widths[:, None]) ** 2)
        return np.asarray(bands / bands.sum(1, keepdims=True))

    def _cut(self, image: Image) -> Image:
        i, j = (self.random.integers(length - self.side + 1) for length in image.shape[1:])
        return np.asarray(image[:, i : i + self.side, j : j + self.side])

    @staticmethod
    def _mixed(weights: NDArray[np.floating], crop: Image) -> Image:
        return np.einsum("kc,cyx->kyx", weights.astype(np.float32), crop)

    def _turned(self, crop: Image) -> Image:
        rows, columns, swapped = self.random.random(3) < 0.5
        crop = crop[:, :: -1 if rows else 1, :: -1 if columns else 1]
        return crop.transpose(0, 2, 1) if swapped else crop


def linear_photographs(folder: Path) -> list[Image]:
    """Return the photographs of a folder, linear (3, y, x)."""
    photographs = []
    for path in sorted(folder.glob("*.jpg")):
        encoded = np.asarray(Picture.open(path).convert("RGB"), np.float32) / 255
        photographs.append(srgb_to_linear(encoded).transpose(2, 0, 1).astype(np.float32))
    if not photographs:
        raise InputError(f"{folder} has no JPEG files; --photographs names a folder of photographs")
    return photographs


def scenes_of(store: Store, names: Sequence[str]) -> list[Image]:
    """Return scenes, (C, y, x), 0 to 1."""
    return [(store.read(name) / store.full_scale(name)).astype(np.float32) for name in names]


def loss_of(net: ResidualSR, hr: Tensor) -> Tensor:
    """Return the loss on images (B, 3, crop, crop)."""
    lr = net.observation(hr)
    with torch.autocast("cpu", torch.bfloat16):
        error = net(lr).float() - hr
    return soft_absolute(error)


@torch.no_grad()
def psnr_of(net: ResidualSR, images: Sequence[Tensor]) -> float:
    """Return the mean PSNR in dB, of a range of 1, over whole images."""
    errors = [float((net(net.observation(image)) - image).square().mean()) for image in images]
    return float(np.mean([-10 * math.log10(error) for error in errors]))


def chosen_split(
    output: Path, split: Mapping[str, Sequence[str]], folds: int | None, fold: int | None
) -> tuple[Path, dict[str, list[str]]]:
    """Return the folder of the weights, and the scenes that they are trained (``train``) and looked at (``val``) on."""
    if folds is None and fold is None:
        return output, {key: list(split[key]) for key in ("train", "val")}
    if folds is None or fold is None or not 1 <= fold <= folds:
        raise InputError(f"--folds {folds} --fold {fold}: a number of folds, and of one of them from 1, are accepted")
    left_out = make_folds([*split["train"], *split["val"]], folds)[fold - 1]
    return weights_of_fold(output, fold, folds), {"train": list(left_out.training), "val": list(left_out.scored)}


def main() -> None:
    """Train for a given time and save the running average of the weights with a card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the weights")
    parser.add_argument("--photographs", type=Path, default=data_folder() / "photos", help="folder of JPEG files")
    parser.add_argument("--minutes", type=float, default=17.0, help="of processor time")
    parser.add_argument("--scale", type=int, choices=(2, 4, 8), default=4)
    parser.add_argument("--folds", type=int, help="number of folds, one of which is left out")
    parser.add_argument("--fold", type=int, help="number of that fold, from 1")
    parser.add_argument("--kernel", default="gaussian", help="of the degradation")
    parser.add_argument("--sensor", default="nikon-d5100", help="three bands, red first")
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    store, sensor = open_dataset("cave"), get_sensor(options.sensor)
    response = sensor.response(store.wavelengths).astype(np.float32)
    folder, split = chosen_split(options.output, store.attributes["split"], options.folds, options.fold)
    scenes = scenes_of(store, split["train"])
    crops = Crops(
        linear_photographs(options.photographs), scenes, response, store.wavelengths, CROPS[options.scale], seed=0
    )
    validation = [
        torch.einsum("kc,cyx->kyx", torch.from_numpy(response), torch.from_numpy(each))[None]
        for each in scenes_of(store, split["val"])
    ]
    net = create_model(
        "residual-sr", scale=options.scale, hs_bands=len(response), degradation={"kernel": options.kernel}
    )
    assert isinstance(net, ResidualSR)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's overloads
    folder.mkdir(parents=True, exist_ok=True)
    train_average(
        net,
        lambda: loss_of(net, crops.batch()),
        lambda averaged: f"{psnr_of(averaged, validation):.2f} dB",
        folder,
        minutes=options.minutes,
        clock=time.process_time,
        every=EVERY,
    )
    card = describe(
        net.eval(),
        name=folder.name,
        sensor=options.sensor,
        degradation={"kernel": options.kernel, "scale": options.scale},
        data={"dataset": "cave", "split": {"train": split["train"]}},  # nothing is chosen by the others
    )
    Model(net, card).save(folder)


if __name__ == "__main__":
    main()
