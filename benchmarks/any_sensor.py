"""Reprint the tables on the page of `any-sensor`: ``python -m benchmarks.any_sensor [PART ...]``.

Parts are ``enmap``, ``cave``, ``vnir100``, ``aviris``, ``scale`` and ``cost``; all without any.

The weights for any sensor beside the weights made for one, beside the same network trained for a sensor that has no
weights, at a scale and at wavelengths that nothing was trained for, and what they cost. Validation scenes of the data
in ``FINEWAVE_DATA``; times are processor time of one thread.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

import finewave as fw
from finewave.datasets.registry import get_dataset, open_scenes
from finewave.evaluation.whole_scenes import WholeScenes
from finewave.scene import make_scene
from finewave.systems.registry import create_model
from finewave.warnings import FinewaveWarning
from finewave.zoo.any_sensor import for_sensor, known_wavelengths
from finewave.zoo.flops import flops_of
from finewave.zoo.model import Model

SPECIALISED = {
    "enmap": ("sentinel2-enmap", "sentinel2-10m-enmap", "landsat8-enmap", "superdove-enmap", "sentinel2-enmap-x2"),
    "cave": ("scene-ridge-cave", "mstpp-cave"),
    "vnir100": (
        *("ikonos-vnir100-x2", "ikonos-vnir100-x4", "worldview2-vnir100-x2", "worldview2-vnir100-x4"),
        *("sentinel2-10m-vnir100-x2", "sentinel2-10m-vnir100-x4"),
    ),
    "aviris": ("ikonos-aviris-x2", "ikonos-aviris-x4"),
}
UNSEEN = {
    "enmap": ("rapideye", "planetscope-ps2.sd", "modis", "aster", "pleiades"),
    "cave": ("nikon-d700", "sigma-sd-merrill", "srgb"),
    "vnir100": ("rapideye", "micasense-rededge-mx", "dji-p4m"),
    "aviris": ("rapideye", "planetscope-ps2.sd"),
}
"""Sensors for which there are no weights."""
CLOSED_FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "enmap": ("kernel-ridge", {"centres": 1000}),
    "cave": ("scene-ridge", {}),
    "vnir100": ("ridge-knn", {}),
    "aviris": (
        "ensemble-ssr",
        {"members": ["knn", "kernel-ridge"], "options": [{}, {"centres": 500, "penalty": 1e-3}]},
    ),
}
"""What a training for one sensor is."""
SCALE, ASKED = 3.7, "430:860:5"
_PLAIN = {"kernel": "gaussian"}


def scenes(dataset: str, split: str, sensor: str | None, scale: int = 1) -> Iterator[Mapping[str, Tensor]]:
    """Yield the scenes of a split as a sensor sees them."""
    names = get_dataset(dataset).split[split]
    source = open_scenes(dataset, names)
    response = np.empty((0, len(source.wavelengths)))
    if sensor is not None:
        response = fw.get_sensor(sensor).response(source.wavelengths)
    whole = WholeScenes(source, response, scale, dict(_PLAIN))
    return (whole.sample(name) for name in names)


def means(rows: list[dict[str, float]]) -> str:
    """Return PSNR and angle, means over images."""
    psnr, sam = (float(np.mean([row[key] for row in rows])) for key in ("psnr", "sam"))
    return f"{psnr:6.2f} dB {sam:5.2f} deg"


def score(predict: Callable[[Mapping[str, Tensor]], Tensor], images: Iterator[Mapping[str, Tensor]], scale: int) -> str:
    """Return the means of a method over images."""
    rows = []
    for image in images:
        truth = image["hr_hsi"]
        made = predict(image)
        rows.append(fw.metrics.evaluate(made, truth, scale=max(scale, 2)))
    return means(rows)


def predicted(model: Model, name: str) -> Callable[[Mapping[str, Tensor]], Tensor]:
    """Return the prediction of a model from the image of a name."""
    return lambda image: model.predict(**{name: image[name]})


def enlarged(weights: Model, sensor: str, scale: float, asked: str | None = None) -> Callable[[Any], Tensor]:
    """Return the prediction of the weights for any sensor at a scale, as users get it."""
    known = fw.get_sensor(sensor)

    def predict(image: Mapping[str, Tensor]) -> Tensor:
        scene = make_scene(image["lr_msi"][0].numpy(), known.centres, band_names=list(known.bands))
        made = fw.super_resolve(scene, weights, sensor=sensor, scale=scale, wavelengths=asked)
        return torch.from_numpy(made.values)[None]

    return predict


def fitted_to_sharp(special: Model, dataset: str) -> Callable[[Mapping[str, Tensor]], Tensor]:
    """Return the prediction of a chain whose regression is fitted to sharp images, not to those that it enlarged."""
    assert special.card is not None
    config = special.card.config
    bands = {key: config[key] for key in ("ms_bands", "hs_bands")}
    regression = create_model(config["ssr"], **bands, **config["ssr_options"])
    regression.prepare_from(scenes(dataset, "train", str(special.card.sensor)), 42)
    spatial = Model(special.net.part("sr"))
    step = Model(regression.eval())
    return lambda image: step.predict(hr_msi=spatial.predict(lr_hsi=image["lr_msi"]))


def compare(dataset: str) -> None:
    """Print the weights made for one sensor, and a training for a sensor without weights, beside those for any."""
    weights = fw.load_model(f"any-sensor-{dataset}")
    print(f"\n{dataset}: weights made for one sensor; any-sensor-{dataset}")
    for name in SPECIALISED[dataset]:
        special = fw.load_model(name)
        assert special.card is not None
        sensor = str(special.card.sensor)
        if special.scale == 1:
            one = score(predicted(special, "hr_msi"), scenes(dataset, "val", sensor), 1)
            many = score(predicted(for_sensor(weights, sensor), "hr_msi"), scenes(dataset, "val", sensor), 1)
        else:
            one = score(predicted(special, "lr_msi"), scenes(dataset, "val", sensor, special.scale), special.scale)
            finer = enlarged(weights, sensor, special.scale)
            many = score(finer, scenes(dataset, "val", sensor, special.scale), special.scale)
        print(f"{name:26} {one}   {many}", flush=True)
        if dataset == "enmap" and special.scale > 1:
            made = score(
                fitted_to_sharp(special, dataset), scenes(dataset, "val", sensor, special.scale), special.scale
            )
            print(f"{'  fitted to sharp images':26} {made}", flush=True)
    system, options = CLOSED_FORMS[dataset]
    print(f"{dataset}: {system} trained for a sensor; any-sensor-{dataset}")
    for sensor in UNSEEN[dataset]:
        bands, known = len(fw.get_sensor(sensor).bands), np.asarray(get_dataset(dataset).wavelengths)
        net = create_model(system, ms_bands=bands, hs_bands=len(known), **options)
        net.prepare_from(scenes(dataset, "train", sensor), 42)
        one = score(predicted(Model(net.eval()), "hr_msi"), scenes(dataset, "val", sensor), 1)
        many = score(predicted(for_sensor(weights, sensor), "hr_msi"), scenes(dataset, "val", sensor), 1)
        print(f"{sensor:26} {one}   {many}", flush=True)


def blurred(image: Tensor, scale: float) -> Tensor:
    """Return an image (1, C, H, W) as pixels ``scale`` times as large see it: a Gaussian of that FWHM, as `degrade`."""
    sigma = scale / 2.3548
    steps = torch.arange(-int(4 * sigma), int(4 * sigma) + 1)
    result = image
    for axis in (2, 3):
        length = int(image.shape[axis] / scale)
        places = (torch.arange(length) + 0.5) * scale - 0.5
        near = places[:, None] + steps  # samples between pixels, linear
        weights = torch.exp(-0.5 * (steps / sigma) ** 2)
        matrix = torch.zeros(length, image.shape[axis])
        for offset in (0, 1):
            pixel = (near.floor() + offset).clamp(0, image.shape[axis] - 1).long()
            share = (near - near.floor()) if offset else 1 - (near - near.floor())
            matrix.scatter_add_(1, pixel, share * weights)
        matrix /= matrix.sum(1, keepdim=True)
        result = torch.tensordot(result, matrix, dims=([axis], [1])).movedim(-1, axis)
    return result


def on_finer_grid(image: Tensor, scale: float) -> Tensor:
    """Return an image enlarged by bicubic interpolation, its corner in its place."""
    height, width = (round(scale * n) for n in image.shape[2:])
    y, x = (
        ((torch.arange(n) + 0.5) / scale) / m * 2 - 1 for n, m in ((height, image.shape[2]), (width, image.shape[3]))
    )
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)[None]
    return F.grid_sample(image, grid, mode="bicubic", padding_mode="border", align_corners=False)


def at_a_scale() -> None:
    """Print scale 3.7 and a spectrum every 5 nm, for which nothing was trained, beside floors."""
    floors = "bicubic and interpolation of bands; bicubic and quadratic regression"
    print(f"\nvnir100, scale {SCALE}, {ASKED} nm: {floors}; any-sensor-vnir100")
    weights = fw.load_model("any-sensor-vnir100")
    known = np.asarray(get_dataset("vnir100").wavelengths)
    asked = np.arange(430, 860.1, 5)
    for sensor in ("ikonos", "rapideye", "dji-p4m"):
        response = torch.from_numpy(fw.get_sensor(sensor).response(known)).float()
        centres = fw.get_sensor(sensor).centres
        regression = create_model("quadratic", ms_bands=len(centres), hs_bands=len(asked))
        regression.prepare_from(
            ({**image, "hr_hsi": _on(asked, known, image["hr_hsi"])} for image in scenes("vnir100", "train", sensor)), 0
        )
        rows: dict[str, list[dict[str, float]]] = {}
        for image in scenes("vnir100", "val", None):
            truth = _on(asked, known, image["hr_hsi"])
            lr_msi = blurred(torch.einsum("kc,bcyx->bkyx", response, image["hr_hsi"]), SCALE)
            bicubic = on_finer_grid(lr_msi, SCALE)
            truth = truth[:, :, : bicubic.shape[2], : bicubic.shape[3]]
            results = {
                "bands": _on(asked, centres, bicubic),
                "quadratic": regression.eval()(hr_msi=bicubic),
                "any": enlarged(weights, sensor, SCALE, ASKED)({"lr_msi": lr_msi}),
            }
            for name, made in results.items():
                cut = made[:, :, : truth.shape[2], : truth.shape[3]]
                rows.setdefault(name, []).append(fw.metrics.evaluate(cut, truth, scale=4))
        print(f"{sensor:26} " + "   ".join(means(each) for each in rows.values()), flush=True)


def _on(asked: NDArray[Any], known: NDArray[Any], image: Tensor) -> Tensor:
    """Return an image (1, C, H, W) interpolated between its bands."""
    order = np.argsort(known)
    columns = [np.interp(asked, known[order], row) for row in np.eye(len(known))]
    matrix = np.empty((len(asked), len(known)))
    matrix[:, order] = np.stack(columns, 1)
    return torch.einsum("kc,bcyx->bkyx", torch.from_numpy(matrix).float(), image)


def cost() -> None:
    """Print processor time of a solution and of a prediction, and FLOPs a pixel."""
    print("\nseconds to solve for a sensor; microseconds and FLOPs a pixel")
    sensors = {"enmap": "rapideye", "cave": "nikon-d700", "vnir100": "rapideye", "aviris": "rapideye"}
    for name, sensor in sensors.items():
        weights = fw.load_model(f"any-sensor-{name}")
        response = torch.from_numpy(fw.get_sensor(sensor).response(known_wavelengths(weights))).float()
        start = time.process_time()
        net: Any = weights.net
        solved = net.solved_for(response)
        seconds = time.process_time() - start
        image = torch.rand(1, len(response), 128, 128)
        with torch.no_grad():
            solved(image)
            start = time.process_time()
            solved(image)
            each = (time.process_time() - start) / 128**2
        flops = flops_of(partial(solved, image))["all"] / 128**2
        print(f"any-sensor-{name:14} {sensor:12} {seconds:6.1f} s {1e6 * each:8.2f} us {flops:12,.0f}", flush=True)


def main() -> None:
    """Print what is asked for."""
    parts: dict[str, Callable[[], None]] = {
        **{name: partial(compare, name) for name in SPECIALISED},
        "scale": at_a_scale,
        "cost": cost,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], *parts], default=[])
    chosen = parser.parse_args().parts or list(parts)
    warnings.simplefilter("ignore", FinewaveWarning)
    for part in chosen:
        parts[part]()


if __name__ == "__main__":
    main()
