"""Train networks of spatial SR on photographs and on scenes seen by random cameras: edges need no spectra.

    python -m benchmarks.photographs -o runs/residual-sr-photographs-x4 --steps 4640
    python -m benchmarks.photographs -o runs/residual-sr-photographs-x4 --steps 1500 --folds 4 --fold 1
    python -m benchmarks.photographs -o runs/residual-sr-photographs-bicubic-x4 --kernel bicubic --sensor srgb
    python -m benchmarks.photographs -o runs/jssunet-sr-photographs-x4 --system jssunet-sr --stages 2 --features 64

Half a thousand photographs (in the folder ``photos`` of the external data) have more edges than the twenty training
scenes of CAVE; those have the noise and lenses of the images that are scored. Validation scenes are seen in the printed
figures alone. Minutes are of processor time; with a GPU, which is used where there is one, of time. A run that was
killed continues where it was when it last printed figures.

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
from PIL import Image as Picture
from torch import Tensor

from benchmarks.averaged_training import RATE, soft_absolute, train_average
from benchmarks.photograph_crops import PHOTOGRAPHS, Crops, Image
from finewave.datasets.registry import open_dataset
from finewave.datasets.store import Store
from finewave.errors import InputError
from finewave.evaluation.folds import make_folds, weights_of_fold
from finewave.locations import data_folder
from finewave.metrics import sam
from finewave.physics.observation import Observation
from finewave.physics.rendering.srgb import srgb_to_linear
from finewave.physics.sensors import get_sensor
from finewave.systems.base import SRNetwork
from finewave.systems.registry import create_model
from finewave.zoo.card import describe
from finewave.zoo.model import Model, prefers_channels_last

CROPS, BATCH = {2: 48, 4: 80, 8: 128}, 48
"""HR pixels of a crop by scale, for a similar time a step. Many small crops show more places than few large ones."""
DARK, RELATIVE, SOFT_RELATIVE = 0.01, 0.4, 0.05
"""Added to the brightness that errors are relative to; weight of relative errors; see `soft_absolute`."""
EVERY = {"cpu": 420.0, "cuda": 45.0}
"""Seconds between figures."""


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


def loss_of(net: SRNetwork, observation: Observation, hr: Tensor) -> Tensor:
    """Return the loss on images (B, 3, crop, crop): absolute errors, and those relative to the brightness of a pixel.

    The first decide about PSNR. By the first alone, dark pixels have any colour, and spectra found by colour any angle.
    """
    lr = observation(hr)
    with torch.autocast(hr.device.type, torch.bfloat16):
        error = net(lr).float() - hr
    relative = error / (hr.mean(1, keepdim=True).clamp(min=0) + DARK)
    return soft_absolute(error) + RELATIVE * soft_absolute(relative, SOFT_RELATIVE)


@torch.no_grad()
def figures_of(net: SRNetwork, observation: Observation, images: Sequence[Tensor]) -> str:
    """Return the means over whole images of the PSNR in dB, of a range of 1, and of the angle between the bands."""
    net.eval()
    made = [(net(observation(image))[0], image[0]) for image in images]
    psnrs = [-10 * math.log10(float((result - image).square().mean())) for result, image in made]
    return f"{np.mean(psnrs):.2f} dB, {np.mean([sam(*pair) for pair in made]):.2f} degrees"


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


def check_options(options: argparse.Namespace) -> None:
    """Refuse numbers out of range before anything is read.

    Raises
    ------
    InputError
        Names the option.
    """
    if not 0 <= options.share <= 1:
        raise InputError(f"--share {options.share}: a part of the crops is from 0 to 1")
    if options.batch < 1 or (options.steps is not None and options.steps < 1):
        raise InputError(f"--batch {options.batch} --steps {options.steps}: whole numbers from 1 are accepted")


def network_of(options: argparse.Namespace, bands: int) -> SRNetwork:
    """Return the untrained network of the command's options."""
    given = {key: getattr(options, key) for key in ("features", "blocks", "stages")}
    stated = {key: value for key, value in given.items() if value is not None}
    if options.system == "residual-sr":
        stated["degradation"] = {"kernel": options.kernel}
    net = create_model(options.system, scale=options.scale, hs_bands=bands, **stated)
    if prefers_channels_last(net):
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's overloads
    return net


def main() -> None:
    """Train for a given time and save the running average of the weights with a card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the weights")
    parser.add_argument("--photographs", type=Path, default=data_folder() / "photos", help="folder of JPEG files")
    parser.add_argument("--share", type=float, default=PHOTOGRAPHS, help="part of the crops that are of photographs")
    parser.add_argument("--minutes", type=float, default=17.0, help="of processor time; on a GPU, of time")
    parser.add_argument("--steps", type=int, help="in place of --minutes: as long on any machine")
    parser.add_argument("--scale", type=int, choices=(2, 4, 8), default=4)
    parser.add_argument("--system", choices=("residual-sr", "jssunet-sr"), default="residual-sr")
    parser.add_argument("--features", type=int, help="width of the network, in place of its default")
    parser.add_argument("--blocks", type=int, help="of residual-sr")
    parser.add_argument("--stages", type=int, help="of jssunet-sr")
    parser.add_argument("--batch", type=int, default=BATCH, help="crops of a step")
    parser.add_argument("--rate", type=float, default=RATE, help="learning rate; wide networks need a lower one")
    parser.add_argument("--folds", type=int, help="number of folds, one of which is left out")
    parser.add_argument("--fold", type=int, help="number of that fold, from 1")
    parser.add_argument("--kernel", default="gaussian", help="of the degradation")
    parser.add_argument("--sensor", default="nikon-d5100", help="three bands, red first")
    options = parser.parse_args()
    check_options(options)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    store, sensor = open_dataset("cave"), get_sensor(options.sensor)
    response = sensor.response(store.wavelengths).astype(np.float32)
    folder, split = chosen_split(options.output, store.attributes["split"], options.folds, options.fold)
    crops = Crops(
        linear_photographs(options.photographs),
        scenes_of(store, split["train"]),
        response,
        store.wavelengths,
        side=CROPS[options.scale],
        batch=options.batch,
        share=options.share,
        device=device,
    )
    validation = [
        torch.einsum("kc,cyx->kyx", torch.from_numpy(response), torch.from_numpy(each))[None].to(device)
        for each in scenes_of(store, split["val"])
    ]
    observation = Observation(options.scale, {"kernel": options.kernel}, "the training")
    net = network_of(options, len(response)).to(device)
    folder.mkdir(parents=True, exist_ok=True)
    train_average(
        net,
        lambda: loss_of(net, observation, crops.batch()),
        lambda averaged: figures_of(averaged, observation, validation),
        folder,
        minutes=options.minutes,
        steps=options.steps,
        clock=time.process_time if device.type == "cpu" else time.monotonic,
        every=EVERY[device.type],
        rate=options.rate,
    )
    card = describe(
        net.cpu().eval(),
        name=folder.name,
        sensor=options.sensor,
        degradation={"kernel": options.kernel, "scale": options.scale},
        data={"dataset": "cave", "split": {"train": split["train"]}},  # nothing is chosen by the others
    )
    Model(net, card).save(folder)


if __name__ == "__main__":
    main()
