"""What consistent results gain or lose: right and wrong blurs, with and without noise, against the plain result."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from finewave.datasets.registry import known_split, open_scenes
from finewave.errors import InputError, unknown_name
from finewave.evaluation.whole_scenes import WholeScenes
from finewave.inference.corrections.damping import CONTRADICTION, InputFacts, damped, facts_of
from finewave.metrics import psnr, sam
from finewave.physics.inversion.projection import Projection
from finewave.physics.sensors import get_sensor
from finewave.studies.measurements.robustness import middle
from finewave.zoo.model import Model
from finewave.zoo.observation_model import projection_of

ROWS = ("plain", "damped", "blur given", "exact")


def consistency_study(
    model: Model,
    dataset: str,
    split: str,
    *,
    widths: Sequence[float],
    noise: float,
    crop: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Score plain and consistent results of a model on the scenes of a split, for each blur without and with noise.

    Parameters
    ----------
    model : Model
        With sensor and degradation in its card.
    dataset, split : str
    widths : sequence of float
        FWHM of the Gaussian blurs, in pixels of the result.
    noise : float
        Standard deviation of white noise.
    crop : int, optional
        Side of the part that is scored, from the middle of each scene, in pixels of the result. Noise and blur are
        estimated from the whole scene.
    say : callable
        Called with a line for each case.

    Returns
    -------
    dict
        ``cases``: for each its ``fwhm``, ``noise``, ``images`` (the figures of each scene) and ``rows``: of the plain
        result ``psnr``, ``sam`` and ``least`` (its smallest value); of those made consistent (`ROWS`) the mean gains
        ``psnr`` and ``sam``, the largest losses ``worst_psnr`` and ``worst_sam`` of any scene, ``least``, and
        ``bumps``, the mean square of the second differences of spectra against that of the plain result. ``fwhm`` of an
        image is the estimated one, ``contradicts`` whether a warning would be given.
    """
    card = model.card
    if card is None or card.sensor is None or card.degradation is None:
        raise InputError(f"{model.name}: a model whose card names sensor and degradation is needed")
    known = known_split(dataset)
    if split not in known:
        raise unknown_name("split", split, known)
    source = open_scenes(dataset, known[split])
    response = get_sensor(card.sensor).response(source.wavelengths)
    cases = []
    for width in widths:
        degradation = {"kernel": "gaussian", "fwhm": width}
        reference = card.reference if "ref_rgb" in model.inputs else None
        scenes = WholeScenes(source, response, model.scale, degradation, reference=reference)
        images: dict[float, dict[str, Any]] = {0.0: {}, noise: {}}
        projections = {"damped": projection_of(model), "blur given": projection_of(model, width)}
        for name, whole in scenes.samples(known[split]):
            for level, found in images.items():
                inputs = _noisy(model, whole, level, name)
                # of the whole scene, as `predict` has it, whatever part is scored
                facts = {way: _facts(model, projection, inputs) for way, projection in projections.items()}
                part = {**inputs, "hr_hsi": whole["hr_hsi"]}
                found[name] = _figures(
                    model, projections, facts, part if crop is None else middle(part, crop, model.scale)
                )
        for level, found in images.items():
            cases.append({"fwhm": width, "noise": level, "images": found, "rows": _means(list(found.values()))})
            say(f"FWHM {width:g}, noise {level:g}: {len(found)} scenes")
    return {"crop": crop, "card": card.degradation, "cases": cases}


def _figures(
    model: Model,
    projections: Mapping[str, Projection],
    facts: Mapping[str, Mapping[str, InputFacts]],
    part: Mapping[str, Tensor],
) -> dict[str, Any]:
    """Return the figures of one scene: those of each row, the estimated blur, and whether it contradicts the card's."""
    inputs, truth = {name: part[name] for name in model.inputs}, part["hr_hsi"][0]
    plain = model.predict(**inputs)
    card = projections["damped"]
    results = {way: damped(each, facts[way])(plain, inputs)[0] for way, each in projections.items()}
    results = {"plain": plain[0], **results, "exact": card(plain, inputs)[0]}
    first = facts["damped"][model.inputs[0]]
    rough = _roughness(results["plain"])
    figures: dict[str, Any] = {
        way: {
            "psnr": psnr(image, truth),
            "sam": sam(image, truth),
            "least": float(image.min()),
            "bumps": _roughness(image) / rough,
        }
        for way, image in results.items()
    }
    return {**figures, "fwhm": first.estimated_blur, "contradicts": first.contradiction > CONTRADICTION}


def _facts(model: Model, projection: Projection, inputs: Mapping[str, Tensor]) -> dict[str, InputFacts]:
    operators = [constraint.operator for constraint in projection.constraints]
    return {each.name: facts_of(each, [inputs[each.name][0]], model.name) for each in operators}


def _roughness(image: Tensor) -> float:
    """Return the mean square of the second differences of spectra (C, H, W)."""
    return float((image[2:] - 2 * image[1:-1] + image[:-2]).square().mean())


def _noisy(model: Model, sample: Mapping[str, Tensor], level: float, scene: str) -> dict[str, Tensor]:
    """Return a model's inputs with white noise, always the same for one scene; a reference has none."""
    inputs = {name: sample[name] for name in model.inputs}
    if not level:
        return inputs
    for name in inputs:
        if name != "ref_rgb":
            seed = int.from_bytes(hashlib.sha256(f"{scene}/{name}".encode()).digest()[:7], "big")
            random = torch.Generator().manual_seed(seed)
            noise = torch.randn(inputs[name].shape, generator=random)
            inputs[name] = (inputs[name] + level * noise).clamp(min=0)  # an instrument counts no fewer than none
    return inputs


def _means(images: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    rows = {}
    for way in ROWS:
        values = {key: np.array([each[way][key] for each in images]) for key in images[0][way]}
        least = float(values["least"].min())
        if way == "plain":
            rows[way] = {"psnr": float(values["psnr"].mean()), "sam": float(values["sam"].mean()), "least": least}
            continue
        gains = {key: values[key] - np.array([each["plain"][key] for each in images]) for key in ("psnr", "sam")}
        rows[way] = {
            **{key: float(gain.mean()) for key, gain in gains.items()},
            "worst_psnr": float(gains["psnr"].min()),
            "worst_sam": float(gains["sam"].max()),
            "least": least,
            "bumps": float(math.exp(np.log(values["bumps"]).mean())),
        }
    return rows
