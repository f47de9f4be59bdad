"""Train `bandwise-sr` on photographs, CAVE and AVIRIS: enlarging for any sensor and any number of bands.

    python -m benchmarks.any_bands --scale 2 -o runs/bandwise-sr-any-x2

Crops are of a band and its two neighbours. No crop is of the images that the weights are scored on, nor of their
instruments: ROSIS, ProSpecTIR and SAMSON (``vnir100``), EnMAP, Hyperion. The length is given in minutes of processor
time, so that a busy machine trains no less. A run that was killed continues where it was when it last printed figures.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.averaged_training import soft_absolute, train_average
from benchmarks.photograph_crops import Image
from benchmarks.photographs import linear_photographs, scenes_of
from finewave.datasets.registry import get_dataset, open_dataset
from finewave.evaluation.evaluator import with_scores
from finewave.locations import data_folder
from finewave.nn.sampling import bicubic
from finewave.provenance import checkout_revision, processor
from finewave.systems.registry import create_model
from finewave.systems.residual_sr.bandwise import BandwiseSR
from finewave.zoo.card import Card, describe
from finewave.zoo.model import Model

CROP, BATCH = {2: 64, 3: 72, 4: 96}, 16
SHARES = {"photographs": 0.4, "cave": 0.3, "aviris": 0.3}
"""Parts of the crops."""
SPREAD = 0.15
"""Spread of a crop's middle band that crops are scaled to, up to a random factor: the loss sees dark scenes, too."""
EVERY = 120.0
"""Seconds of processor time between figures."""


class Crops:
    """Random crops (3, crop, crop) of neighbouring bands.

    Parameters
    ----------
    pools : dict of str to list of ndarray (C, y, x)
        Images by the names of `SHARES`; those smaller than a crop are left out.
    crop, seed : int
    """

    def __init__(self, pools: dict[str, list[Image]], crop: int, seed: int) -> None:
        self.pools = {name: [each for each in pool if min(each.shape[1:]) >= crop] for name, pool in pools.items()}
        self.crop, self.random = crop, np.random.default_rng(seed)

    def batch(self) -> Tensor:
        """Return the next crops (BATCH, 3, crop, crop), flipped and turned at random, of similar contrast."""
        return torch.stack([torch.from_numpy(np.ascontiguousarray(self._turned(self._one()))) for _ in range(BATCH)])

    def _one(self) -> Image:
        random = self.random
        pool = str(random.choice(list(SHARES), p=list(SHARES.values())))
        image = self.pools[pool][int(random.integers(len(self.pools[pool])))]
        for _ in range(3):  # flat ones teach little
            i, j = (int(random.integers(side - self.crop + 1)) for side in image.shape[1:])
            crop = image[:, i : i + self.crop, j : j + self.crop]
            if crop[len(crop) // 2, ::4, ::4].std() > 0.01:
                break
        if pool == "photographs":  # neighbouring bands are mixtures that differ a little
            own = random.dirichlet(np.ones(3))
            weights = np.stack([own + random.uniform(0, 0.3) * (random.dirichlet(np.ones(3)) - own) for _ in range(3)])
            weights[1] = own
            group = np.einsum("kc,cyx->kyx", weights.astype(np.float32), crop)
        else:
            middle = int(random.integers(len(crop)))
            group = crop[np.clip(np.arange(middle - 1, middle + 2), 0, len(crop) - 1)]
        target = SPREAD * np.exp(random.uniform(-1.0, 0.5))
        return np.asarray(group * np.float32(target / max(float(group[1].std()), 0.005)))

    def _turned(self, crop: Image) -> Image:
        rows, columns, swapped = self.random.random(3) < 0.5
        crop = crop[:, :: -1 if rows else 1, :: -1 if columns else 1]
        return crop.transpose(0, 2, 1) if swapped else crop


def loss_of(net: BandwiseSR, groups: Tensor) -> Tensor:
    """Return the loss of the middle bands of groups (B, 3, crop, crop)."""
    hr = groups[:, 1:2]
    lr = net.observation(groups)
    middle = lr[:, 1:2]
    with torch.autocast("cpu", torch.bfloat16):
        residual = net.residual(lr)
    image = bicubic(middle, (hr.shape[2], hr.shape[3])) + residual.float()
    return soft_absolute(net.completed(image, middle) - hr)


@torch.no_grad()
def gain_of(net: BandwiseSR, images: Sequence[Tensor]) -> float:
    """Return the mean gain in dB over bicubic interpolation on images (1, C, y, x)."""
    plain = create_model("bicubic", scale=net.scale, hs_bands=1)
    gains = []
    for image in images:
        lr = net.observation(image)
        errors = [float((each(lr) - image).square().mean()) for each in (plain, net)]
        gains.append(10 * math.log10(errors[0] / errors[1]))
    return float(np.mean(gains))


def _scenes(name: str, split: str) -> list[Image]:
    store = open_dataset(name)
    return scenes_of(store, store.attributes["split"][split])


def _validation(scale: int) -> list[Tensor]:
    """Return every eighth band of the validation scene of AVIRIS and of two of CAVE's, small enough to be quick."""
    images = []
    for name in ("aviris", "cave"):
        for scene in _scenes(name, "val")[:2]:
            rows, columns = (min(144, side) // scale * scale for side in scene.shape[1:])
            images.append(torch.from_numpy(np.ascontiguousarray(scene[::8, :rows, :columns]))[None])
    return images


def card_of(net: BandwiseSR, name: str, options: Mapping[str, Any], minutes: float) -> Card:
    """Return the card of trained weights: it has no wavelengths and no sensor, as they are for any."""
    stores = {each: open_dataset(each) for each in ("cave", "aviris")}
    sums = {
        scene: store.attributes["sha256"][scene]
        for store in stores.values()
        for scene in store.attributes["split"]["train"]
    }
    return describe(
        net,
        name=name,
        degradation={"kernel": "gaussian", "scale": net.scale},
        data={
            "dataset": "cave",
            "also": ["aviris", "photographs of BSDS500"],
            "citation": "; ".join(get_dataset(each).citation for each in stores),
            "split": {each: list(store.attributes["split"]["train"]) for each, store in stores.items()},
            "sha256": sums,
        },
        recipe={"command": "python -m benchmarks.any_bands", **{key: str(value) for key, value in options.items()}},
        commit=checkout_revision(),
        seed=0,
        trained=time.strftime("%Y-%m-%d"),
        hours=round(minutes / 60, 2),
        hardware=processor(),
        licence="Apache-2.0",
        notes="For any number of bands of any sensor. No crop was of vnir100, which the scores are of. Hours are of "
        "processor time.",
    )


def main() -> None:
    """Train for a given processor time and save the running average of the weights with a card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the weights")
    parser.add_argument("--scale", type=int, default=2, choices=sorted(CROP))
    parser.add_argument("--photographs", type=Path, default=data_folder() / "photos", help="folder of JPEG files")
    parser.add_argument("--minutes", type=float, default=15.0, help="of processor time")
    parser.add_argument("--features", type=int, default=48)
    parser.add_argument("--blocks", type=int, default=6)
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    pools = {"photographs": linear_photographs(options.photographs)}
    pools |= {name: _scenes(name, "train") for name in ("cave", "aviris")}
    crops = Crops(pools, CROP[options.scale], seed=0)
    net = create_model(
        "bandwise-sr", scale=options.scale, hs_bands=None, features=options.features, blocks=options.blocks
    )
    assert isinstance(net, BandwiseSR)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's overloads
    options.output.mkdir(parents=True, exist_ok=True)
    validation = _validation(options.scale)
    train_average(
        net,
        lambda: loss_of(net, crops.batch()),
        lambda averaged: f"{gain_of(averaged, validation):.2f} dB above bicubic",
        options.output,
        minutes=options.minutes,
        clock=time.process_time,
        every=EVERY,
    )
    card = card_of(net.eval(), options.output.name, vars(options), options.minutes)
    with_scores(Model(net, card), open_dataset("vnir100")).save(options.output)


if __name__ == "__main__":
    main()
