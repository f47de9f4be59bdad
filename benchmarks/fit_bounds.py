"""What bounds a joint fit: ``python -m benchmarks.fit_bounds FOLDER [--steps N]``.

FOLDER is the outcome of ``finewave fit`` with a sensor at a scale >= 2, ``reno-x4`` on the page of `fit`. Each row is
scored on its held-out blocks: the bands as enlarged, then the spectra that kernel ridge regression makes of them,
fitted to the training blocks enlarged alike. Two rows are oracles, which see what no model can: the true
multispectral image at the size of the result, and the held-out spectra themselves. The last rows tune the enlarging on
the training blocks for longer and longer; nothing is chosen by these figures.
"""

from __future__ import annotations

import argparse
import copy
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import finewave as fw
from finewave.datasets.store import Store
from finewave.evaluation.whole_scenes import WholeScenes
from finewave.inference.self_ensemble import ORIENTATIONS
from finewave.physics.sensors import get_sensor
from finewave.systems.base import SRNetwork
from finewave.systems.registry import create_model
from finewave.warnings import FinewaveWarning

Sample = dict[str, Any]
Enlarge = Callable[[Sample], Tensor]
CROP, BATCH, RATE, EVERY = 48, 8, 1e-4, 100


def spectra_of(enlarge: Enlarge, samples: Sequence[Sample]) -> SRNetwork:
    """Return kernel ridge regression, fitted to what an enlarging makes of samples."""
    pairs = [{"hr_msi": enlarge(each), "hr_hsi": each["hr_hsi"]} for each in samples]
    shapes = {"ms_bands": pairs[0]["hr_msi"].shape[1], "hs_bands": pairs[0]["hr_hsi"].shape[1]}
    net = create_model("kernel-ridge", **shapes)
    net.prepare_from(pairs, 42)
    return net.eval()


@torch.no_grad()
def row(name: str, enlarge: Enlarge, scale: int, training: Sequence[Sample], held_out: Sequence[Sample]) -> None:
    """Print PSNR and angle of the bands, and of the spectra, on held-out blocks."""
    spectra = spectra_of(enlarge, training)
    figures = []
    for image in held_out:
        made = enlarge(image)
        scores = [
            fw.metrics.evaluate(made, image["hr_msi"], scale=scale),
            fw.metrics.evaluate(spectra(made), image["hr_hsi"], scale=scale),
        ]
        figures.append([score[key] for score in scores for key in ("psnr", "sam")])
    bands, band_angle, psnr, sam = np.mean(figures, 0)
    print(f"{name:58} {bands:6.2f} dB {band_angle:5.2f} deg   {psnr:6.2f} dB {sam:5.2f} deg", flush=True)


def in_all_orientations(net: SRNetwork) -> Enlarge:
    """Return the mean over flips and turns of the image."""

    def enlarge(image: Sample) -> Tensor:
        results = [each.turn_back(net(each.turn(image["lr_msi"]))) for each in ORIENTATIONS]
        return torch.stack(results).mean(0)

    return enlarge


def crops(samples: Sequence[Sample], scale: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return a batch of LR and HR bands, flipped and turned at random."""
    pairs = []
    for _ in range(BATCH):
        image = samples[int(random.integers(len(samples)))]
        side = CROP // scale
        i, j = (int(random.integers(n - side + 1)) for n in image["lr_msi"].shape[2:])
        orientation = ORIENTATIONS[int(random.integers(len(ORIENTATIONS)))]
        parts = [
            image[name][:, :, i * s : (i + side) * s, j * s : (j + side) * s]
            for name, s in (("lr_msi", 1), ("hr_msi", scale))
        ]
        pairs.append([orientation.turn(part) for part in parts])
    lr, hr = (torch.cat(each) for each in zip(*pairs, strict=True))
    return lr, hr


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=300, help=f"of tuning, printed every {EVERY}")
    options = parser.parse_args()
    warnings.simplefilter("ignore", FinewaveWarning)
    torch.manual_seed(0)
    model = fw.load_model(options.folder)
    card, net, scale = model.card, model.net.part("sr").eval(), model.scale
    assert card is not None
    store = Store(options.folder / "training" / "scenes.zarr")
    blur = {key: value for key, value in (card.degradation or {}).items() if key != "scale"}
    scenes = WholeScenes(store, get_sensor(str(card.sensor)).response(store.wavelengths), scale, blur)
    split = store.attributes["split"]
    training, held_out = ([dict(scenes.sample(name)) for name in split[part]] for part in ("train", "val"))

    def print_row(name: str, enlarge: Enlarge) -> None:
        row(name, enlarge, scale, training, held_out)

    print(f"{'':58} the enlarged bands    the spectra")
    back_projection = create_model("ibp", scale=scale, hs_bands=net.ms_bands or model.ms_bands, degradation=blur)
    print_row("back-projection", lambda image: back_projection(image["lr_msi"]))
    print_row("as fitted", lambda image: net(image["lr_msi"]))
    print_row("the mean over its eight orientations", in_all_orientations(net))
    print_row("oracle: the true multispectral image", lambda image: image["hr_msi"])
    with torch.no_grad():
        oracle = spectra_of(lambda image: net(image["lr_msi"]), held_out)
        scores = [fw.metrics.evaluate(oracle(net(image["lr_msi"])), image["hr_hsi"], scale=scale) for image in held_out]
    psnr, sam = (np.mean([score[key] for score in scores]) for key in ("psnr", "sam"))
    print(f"{'oracle: as fitted, regression on the held-out spectra':58} {'':21} {psnr:6.2f} dB {sam:5.2f} deg")

    tuned, random = copy.deepcopy(net).train(), np.random.default_rng(0)
    optimiser = torch.optim.Adam(tuned.parameters(), RATE)
    for step in range(1, options.steps + 1):
        lr, hr = crops(training, scale, random)
        optimiser.zero_grad()
        (tuned(lr) - hr).abs().mean().backward()
        optimiser.step()
        if step % EVERY == 0:
            print_row(f"tuned for {step} steps", lambda image: tuned(image["lr_msi"]))


if __name__ == "__main__":
    main()
