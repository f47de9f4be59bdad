"""What length and crops of the fit of residual-fusion give: ``python -m benchmarks.fusion_fit [STEPS:BATCH:CROP ...]``.

Each setting is fitted to fifteen of CAVE's training scenes and scored on the other five, whole, beside the local
regression that it starts from; ``1000:6:64:3e-3`` has another learning rate, too. Recipes are chosen by these figures:
neither validation nor test scenes are looked at.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.bounds import Figures, figures, mean
from finewave.datasets.registry import get_dataset, known_split, open_scenes, sensor_of
from finewave.evaluation.whole_scenes import WholeScenes
from finewave.physics.sensors import get_sensor
from finewave.systems.base import SRNetwork
from finewave.systems.registry import create_model
from finewave.zoo.model import Model

HELD_OUT = slice(2, None, 4)
"""Of the sorted training scenes."""


@dataclass(frozen=True)
class Setting:
    """Options of the fit, see `ResidualFusion`."""

    steps: int
    batch_size: int
    crop: int
    learning_rate: float = 2e-3

    @classmethod
    def parse(cls, text: str) -> Setting:
        """Return that of STEPS:BATCH:CROP or STEPS:BATCH:CROP:RATE; raises ``ValueError`` if it is neither."""
        steps, batch, crop, *rate = text.split(":")
        if len(rate) > 1:
            raise ValueError(text)
        return cls(int(steps), int(batch), int(crop), *(float(each) for each in rate))


SETTINGS = tuple(
    Setting.parse(each)
    for each in ("600:6:64:3e-3", "600:24:32", "1000:6:64:3e-3", "1000:24:32", "4000:24:32", "8000:24:32")
)
"""By length; the first is the default as it was, and the third that of shipped weights."""


def scored(net: SRNetwork, sample: dict[str, Tensor]) -> Figures:
    """Return PSNR and SAM of the fusion of a whole scene."""
    model = Model(net)
    return figures(model.predict(**{name: sample[name] for name in model.inputs}), sample["hr_hsi"])


def main() -> None:
    """Print a line for each setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="*", type=Setting.parse, default=SETTINGS, metavar="STEPS:BATCH:CROP[:RATE]")
    parser.add_argument("--scale", type=int, choices=(2, 4, 8), default=4)
    options = parser.parse_args()
    names = sorted(known_split("cave")["train"])
    source = open_scenes("cave", names)
    response = get_sensor(sensor_of(get_dataset("cave"))).response(source.wavelengths)
    scenes = WholeScenes(source, response, options.scale, {"kernel": "gaussian"})
    held_out = names[HELD_OUT]
    bands = {"scale": options.scale, "ms_bands": len(response), "hs_bands": len(source.wavelengths)}
    start = create_model("local-regression", **bands)
    before = [scored(start, scenes.sample(name)) for name in held_out]
    print(f"local regression: {mean(before)[0]:.2f} dB, {mean(before)[1]:.2f} degrees", flush=True)
    for setting in options.settings:
        torch.manual_seed(42)  # of the initial weights
        net = create_model("residual-fusion", **bands, **vars(setting))
        started = time.process_time()
        net.prepare_from([scenes.sample(name) for name in names if name not in held_out], seed=42)
        spent = (time.process_time() - started) / 60
        after = [scored(net, scenes.sample(name)) for name in held_out]
        (psnr, sam), gains = mean(after), np.array(after) - np.array(before)
        print(
            f"{setting}: {psnr:.2f} dB, {sam:.2f} degrees, from the regression {gains[:, 0].mean():+.2f} dB "
            f"({gains[:, 0].min():+.2f} to {gains[:, 0].max():+.2f}), {gains[:, 1].mean():+.3f} degrees; "
            f"{spent:.1f} min of processor time",
            flush=True,
        )


if __name__ == "__main__":
    main()
