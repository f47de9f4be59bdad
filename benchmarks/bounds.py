"""What bounds joint and spectral super-resolution on CAVE: ``python -m benchmarks.bounds``.

The spectral step, kernel ridge regression with effects of scenes (`scene-ridge`), fitted to more and more training
scenes, and to the scored scene itself, from the true HR-MSI and from the one that the network of `residual-sr-cave-x4`
makes. Prints a table of whole validation scenes, the gain of a doubling of the number of scenes, and how many scenes
given figures would take if the gain lasts. Nothing is chosen by these figures.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.command_line import names_and_flags
from finewave.datasets.patches import Sample
from finewave.datasets.registry import known_split, open_scenes
from finewave.evaluation.whole_scenes import WholeScenes
from finewave.metrics import psnr, sam
from finewave.physics.sensors import get_sensor
from finewave.process.allocator import keep_freed_memory
from finewave.systems.registry import create_model
from finewave.systems.scene_ridge.network import SceneRidge
from finewave.zoo.model import load_model

DATASET, CAMERA, SCALE = "cave", "nikon-d5100", 4
SPECTRAL, JOINT = "scene-ridge-cave", "residual-sr-cave-x4"
SIZES = (5, 10, 15, 20)
"""Numbers of training scenes; the smaller ones of each of `ORDERS` random orders."""
ORDERS = 2
THIN = 4
"""Rows and columns of the training scenes of which one is taken."""
ALONE = 1e4
"""Penalty of the effects of scenes where there is one scene: none."""
TARGETS = (32.2, 8.9)
"""PSNR in dB and SAM in degrees of spectral super-resolution to be reached."""
Figures = tuple[float, float]


def pixels_of(sample: Sample, net: SceneRidge, thin: int = THIN) -> Sample:
    """Return thinned images for `SceneRidge.prepare_from`, with the means around the pixels."""
    ms = sample["hr_msi"]
    around = [F.avg_pool2d(F.pad(ms, (side // 2,) * 4, mode="replicate"), side, stride=1) for side in net.windows]
    images = {"hr_msi": ms, "hr_hsi": sample["hr_hsi"], "around": torch.cat(around, 1)}
    return {name: image[..., ::thin, ::thin].contiguous() for name, image in images.items()}


def fitted(samples: Iterable[Sample], **options: float) -> SceneRidge:
    """Return the spectral step, fitted to scenes."""
    net = create_model("scene-ridge", **options)
    assert isinstance(net, SceneRidge)
    net.prepare_from(samples, 0)
    return net.eval()


def figures(estimate: Tensor, truth: Tensor) -> Figures:
    """Return PSNR and SAM of images (1, C, y, x)."""
    return psnr(estimate[0], truth[0]), sam(estimate[0], truth[0])


def mean(each: Sequence[Figures]) -> Figures:
    """Return means of PSNR and SAM."""
    first, second = np.mean(each, 0)
    return float(first), float(second)


def doubling(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Return the change of a figure for twice as many scenes, by a line through the values over log2 of the sizes."""
    return float(np.polyfit(np.log2(sizes), values, 1)[0])


def scenes_needed(now: float, target: float, gain: float) -> float:
    """Return how many scenes a figure would take, from `SIZES`' last, if every doubling changes it by ``gain``."""
    steps = (target - now) / gain
    return float("inf") if steps < 0 else SIZES[-1] * 2**steps


def main() -> int:
    """Print the table."""
    names_and_flags(__doc__)
    keep_freed_memory()
    split = known_split(DATASET)
    source = open_scenes(DATASET, [*split["train"], *split["val"]])
    scenes = WholeScenes(source, get_sensor(CAMERA).response(source.wavelengths), SCALE, {"kernel": "gaussian"})
    empty = create_model("scene-ridge")
    assert isinstance(empty, SceneRidge)
    training = [pixels_of(scenes.sample(name), empty) for name in split["train"]]
    orders = [np.random.default_rng(seed).permutation(len(training)) for seed in range(ORDERS)]
    nets = {
        size: [fitted(training[i] for i in order[:size]) for order in orders[: ORDERS if size < len(training) else 1]]
        for size in SIZES
    }
    spectral, joint = load_model(SPECTRAL, precision="float32"), load_model(JOINT, precision="float32")
    found: dict[tuple[str, str], list[Figures]] = {}
    enlarged_to = []
    for name in split["val"]:
        sample = scenes.sample(name)
        ms, truth = sample["hr_msi"], sample["hr_hsi"]
        with torch.no_grad():
            enlarged = joint.net.part("sr")(sample["lr_msi"])
            for size, each in nets.items():
                scores = mean([figures(net(ms), truth) for net in each])
                found.setdefault(("true HR-MSI", f"{size} training scenes"), []).append(scores)
            own = fitted([pixels_of(sample, empty)], scene_penalty=ALONE)
            found.setdefault(("true HR-MSI", "the scored scene itself"), []).append(figures(own(ms), truth))
            mean_of_three = spectral.predict(hr_msi=ms)
            found.setdefault(("true HR-MSI", f"20 training scenes, `{SPECTRAL}`"), []).append(
                figures(mean_of_three, truth)
            )
            whole = figures(joint.predict(lr_msi=sample["lr_msi"]), truth)
            found.setdefault(("its enlarged LR-MSI", f"20 training scenes, `{JOINT}`"), []).append(whole)
            own = fitted([pixels_of({**sample, "hr_msi": enlarged}, empty)], scene_penalty=ALONE)
            made = figures(own(enlarged), truth)
            found.setdefault(("its enlarged LR-MSI", "the scored scene itself"), []).append(made)
            enlarged_to.append(psnr(enlarged[0], ms[0]))
    print("| spectra from | fitted to | PSNR (dB) | SAM (°) |\n|---|---|---|---|")
    means = {key: mean(each) for key, each in found.items()}
    for (image, by), (first, second) in means.items():
        print(f"| {image} | {by} | {first:.2f} | {second:.2f} |")
    print(f"\nThe enlarged LR-MSI has {np.mean(enlarged_to):.2f} dB.")
    now = means["true HR-MSI", f"20 training scenes, `{SPECTRAL}`"]
    curve = [means["true HR-MSI", f"{size} training scenes"] for size in SIZES]
    for place, (what, unit) in enumerate((("PSNR", " dB"), ("SAM", "°"))):
        gain = doubling(SIZES, [each[place] for each in curve])
        needed = scenes_needed(now[place], TARGETS[place], gain)
        change = f"{gain:+.2f}{unit} for twice as many scenes"
        print(f"{what}: {change}; from {now[place]:.2f} to {TARGETS[place]}{unit} it would take {needed:.0f} scenes.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
