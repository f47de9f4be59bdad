"""How models of one task bear what their training did not have: other blurs, noise, another camera.

Every row, trained or fitted for the nominal case, sees the same scenes as each case makes them; the order is that of
the worst case.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from finewave.datasets.patches import Sample
from finewave.datasets.registry import SceneSource, get_dataset, known_split, open_scenes, sensor_of
from finewave.datasets.store import Store
from finewave.errors import InputError, unknown_name
from finewave.evaluation.baselines import FLOORS, BaselineBuilder
from finewave.evaluation.whole_scenes import WholeScenes
from finewave.io.atomic import atomic_output
from finewave.metrics import psnr, sam
from finewave.physics.sensors import get_sensor
from finewave.zoo.distribution.listing import list_models
from finewave.zoo.model import Model, load_model

TASKS = ("sssr", "sr", "ssr", "fusion")
CAMERAS = ("nikon-d5100", "nikon-d700")
"""Where one is the nominal camera, the other is the unseen one; sensors of other bands have none."""


@dataclass(frozen=True)
class Case:
    """How inputs are made.

    Parameters
    ----------
    name : str
    degradation : dict
        Keyword arguments of `degrade`.
    sensor : str
    snr : float or None
        Signal-to-noise ratio in dB of white noise on every input; None for none.
    """

    name: str
    degradation: dict[str, Any]
    sensor: str
    snr: float | None = None


def cases_for(task: str, scale: int, sensor: str) -> list[Case]:
    """Return the cases of a task, the nominal one first."""
    nominal = Case("nominal", {"kernel": "gaussian"}, sensor)
    cases = [nominal]
    if task != "ssr":
        cases += [
            replace(nominal, name="FWHM 25 % narrower", degradation={"kernel": "gaussian", "fwhm": 0.75 * scale}),
            replace(nominal, name="FWHM 25 % wider", degradation={"kernel": "gaussian", "fwhm": 1.25 * scale}),
            replace(nominal, name="bicubic kernel", degradation={"kernel": "bicubic"}),
            replace(nominal, name="anisotropic 13 x 13", degradation={"kernel": "anisotropic-gaussian"}),
        ]
    cases.append(replace(nominal, name="noise of 30 dB", snr=30.0))
    if task != "sr" and sensor in CAMERAS:
        other = next(camera for camera in CAMERAS if camera != sensor)
        cases.append(replace(nominal, name=f"camera {other}", sensor=other))
    return cases


def sweep(
    task: str,
    path: Path,
    *,
    dataset: str = "cave",
    split: str = "val",
    models: Sequence[str] = (),
    scale: int = 4,
    crop: int | None = None,
    store: Store | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Score all rows of a task in all cases, and write them to a file after each; what is there is not made again.

    Rows of trained models hold the sha256 of their weights: those of other weights are made again.

    Parameters
    ----------
    task : {"sssr", "sr", "ssr", "fusion"}
    path : Path
        JSON file.
    dataset, split : str
        Scenes that are scored; baselines are fitted to its training scenes.
    models : sequence of str
        Trained models; by default all of the task and scale whose camera is the data set's.
    scale : int
        s; 1 for ``ssr`` whatever is given.
    crop : int, optional
        Side in HR pixels of the part that is scored, from the middle of each scene.
    store : Store, optional
        See `finewave.evaluation.evaluator.evaluate_model`.
    say : callable
        Called with a line for each row and case.

    Returns
    -------
    dict
        ``protocol`` and ``rows``: for each its ``sha256``, None for baselines, and its ``cases`` by name, with
        ``images`` and ``mean``.

    Raises
    ------
    InputError
        If a model is of another task or scale, or the file holds another sweep.
    """
    if task not in TASKS:
        raise unknown_name("task", task, TASKS)
    scale = 1 if task == "ssr" else scale
    known = known_split(dataset) if store is None else store.attributes["split"]
    if split not in known:
        raise unknown_name("split", split, known)
    sensor = sensor_of(get_dataset(dataset))
    cases = cases_for(task, scale, sensor)
    source = open_scenes(dataset, known[split]) if store is None else store
    protocol = {
        "task": task,
        "dataset": dataset,
        "split": split,
        "scale": scale,
        "crop": crop,
        "cases": [asdict(case) for case in cases],
        "scenes_sha256": {name: source.checksum(name) for name in known[split]},
    }
    result = _begun(path, protocol)
    rows = _rows(task, dataset, scale, sensor, known["train"], store, models)
    made: dict[str, list[tuple[str, Sample]]] = {}  # parts of scenes by case; whole ones are made again for each row
    for label, (build, sha256) in rows.items():
        stored = result["rows"].get(label)
        if stored is None or stored.get("sha256") != sha256:
            stored = result["rows"][label] = {"sha256": sha256, "cases": {}}
        there = stored["cases"]
        missing = [case for case in cases if case.name not in there]
        if not missing:
            continue
        model = build().with_precision("float32")
        for case in missing:
            scenes: Iterable[tuple[str, Sample]] = made.get(case.name) or _scenes(
                case, source, known[split], scale, crop
            )
            if crop is not None:
                scenes = made[case.name] = list(scenes)
            images = dict(_scored(model, case, scenes))
            there[case.name] = {"images": images, "mean": _mean(list(images.values()))}
            with atomic_output(path) as temporary:
                temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
            mean = there[case.name]["mean"]
            say(f"{label}, {case.name}: {mean['psnr']:.2f} dB, {mean['sam']:.2f} degrees")
    return result


def ranked(result: dict[str, Any]) -> list[tuple[str, str, float]]:
    """Return rows with their worst case and its PSNR, the most robust first."""
    worst = []
    for label, row in result["rows"].items():
        name, case = min(row["cases"].items(), key=lambda item: item[1]["mean"]["psnr"])
        worst.append((label, name, case["mean"]["psnr"]))
    return sorted(worst, key=lambda each: -each[2])


def _rows(
    task: str, dataset: str, scale: int, sensor: str, train: Sequence[str], store: Store | None, models: Sequence[str]
) -> dict[str, tuple[Callable[[], Model], str | None]]:
    """Return by name what builds each row and its weights' sha256: trained models, then the baselines of the task."""
    loaded = {name: load_model(name) for name in models or list_models(task, trained=True)}
    if not models:
        loaded = {
            name: model
            for name, model in loaded.items()
            if model.scale == scale and model.card is not None and model.card.sensor == sensor
        }
    for name, model in loaded.items():
        if (model.task, model.scale) != (task, scale):
            raise InputError(f"{name} is a model for {model.task} at scale {model.scale}; here {task} at {scale}")
    rows: dict[str, tuple[Callable[[], Model], str | None]] = {
        name: (partial(loaded.__getitem__, name), None if model.card is None else model.card.sha256)
        for name, model in loaded.items()
    }
    source = open_scenes(dataset, train) if store is None else store
    scenes = WholeScenes(source, get_sensor(sensor).response(source.wavelengths), scale, {"kernel": "gaussian"})
    builder = BaselineBuilder(
        wavelengths=source.wavelengths,
        sensor=sensor,
        scale=scale,
        degradation={"kernel": "gaussian"},
        samples=lambda: (scenes.sample(name) for name in train),
    )
    for label, (system, options) in FLOORS[task].items():
        rows[label] = partial(builder.build, system, **options), None
    return rows


def _scenes(
    case: Case, source: SceneSource, names: Sequence[str], scale: int, crop: int | None
) -> Iterator[tuple[str, Sample]]:
    response = get_sensor(case.sensor).response(source.wavelengths)
    for name, whole in WholeScenes(source, response, scale, case.degradation).samples(names):
        yield name, whole if crop is None else middle(whole, crop, scale)


def _scored(model: Model, case: Case, scenes: Iterable[tuple[str, Sample]]) -> Iterator[tuple[str, dict[str, float]]]:
    for name, image in scenes:
        inputs = {each: _noisy(image[each], case.snr, f"{name}/{each}") for each in model.inputs}
        estimate = model.predict(**inputs)[0]
        yield name, {"psnr": psnr(estimate, image["hr_hsi"][0]), "sam": sam(estimate, image["hr_hsi"][0])}


def _noisy(image: Tensor, snr: float | None, words: str) -> Tensor:
    """Add white noise of a ratio to the root mean square of the image, always the same for one scene and image."""
    if snr is None:
        return image
    seed = int.from_bytes(hashlib.sha256(words.encode()).digest()[:7], "big")
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed), dtype=image.dtype)
    return image + noise * image.square().mean().sqrt() * 10 ** (-snr / 20)


def middle(whole: Sample, crop: int, scale: int) -> Sample:
    """Return the part in the middle, ``crop`` HR pixels a side, of what is there."""
    rows, columns = whole["hr_hsi"].shape[2:]
    side = crop // scale
    if not 1 <= side <= min(rows, columns) // scale:
        raise InputError(f"crop={crop} is out of range; {scale} to {min(rows, columns)} HR pixels are accepted")
    y, x = (rows // scale - side) // 2, (columns // scale - side) // 2
    cut = {}
    for key, image in whole.items():
        s = scale if image.shape[2] == rows else 1
        cut[key] = image[..., y * s : (y + side) * s, x * s : (x + side) * s].contiguous()
    return cut


def _mean(values: list[dict[str, float]]) -> dict[str, float]:
    means = {}
    for metric in ("psnr", "sam"):
        known = [each[metric] for each in values if math.isfinite(each[metric])]
        means[metric] = sum(known) / len(known) if known else math.nan
    return means


def _begun(path: Path, protocol: dict[str, Any]) -> dict[str, Any]:
    """Return what a file holds of this sweep."""
    protocol = json.loads(json.dumps(protocol))
    if not path.exists():
        return {"kind": "robustness", "protocol": protocol, "rows": {}}
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} cannot be read ({error}); remove it to have it made again") from error
    if not isinstance(result, dict) or result.get("protocol") != protocol:
        raise InputError(f"{path} is not of this sweep: its protocol or scenes differ; give another file")
    return result
