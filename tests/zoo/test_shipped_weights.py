"""The weights that come along: whole, quick to load, and as good as their cards say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import finewave as fw
from finewave.datasets.registry import get_dataset
from finewave.evaluation.baselines import FLOORS
from finewave.evaluation.evaluator import evaluate_model, reference_options
from finewave.zoo.distribution.bundled_weights import weight_folders

NAMES = fw.list_models(trained=True)
BELOW_THE_FLOOR = ("awan-cave", "mstpp-cave", "blue-end-photo")
"""As README says: a regression and nearest neighbours together are better; of the last, see `OTHER_ENDS`."""
OTHER_ENDS = ("residual-sr-photo-x4",)
"""Dark pixels of CAVE end in a hook at 400 nm, spectra of these weights do not: their angles to CAVE's are large."""


def test_the_promised_weights_are_there() -> None:
    assert {"jssunet-cave-x4", "jssunet-photo-x4", "awan-cave", "mstpp-cave", "sspsr-cave-x4"} <= set(NAMES)
    assert fw.list_models(task="refsr", trained=True) == ["sschsr-cave-x4"]


@pytest.mark.parametrize("name", NAMES)
def test_size_and_card(name: str) -> None:
    folder = weight_folders()[name]
    assert (folder / "model.safetensors").stat().st_size < 10e6
    card = fw.load_model(name).card
    assert card.name == name
    assert card.receptive_field is None or card.receptive_field >= 0  # None: the whole image
    of_its_bands = () if fw.load_model(name).bands_of(card.output) is None else ("wavelengths_nm", "ms_bands", "sensor")
    for fact in (*of_its_bands, "degradation", "data", "recipe", "commit", "seed"):
        assert getattr(card, fact) is not None, fact
    for fact in ("trained", "hardware", "licence", "metrics"):
        assert getattr(card, fact) is not None, fact
    if card.hours is None:
        assert "phase1" not in card.recipe, "only a closed form has no duration"
    else:
        assert card.hours > 0
    assert ("seen" in card.data) == bool(of_its_bands), "what it was trained on, by which quality files go"
    held_out = set(get_dataset(card.data["dataset"]).split["test"])
    assert not held_out & set(card.data["sha256"]), "test scenes must not have been seen"


@pytest.fixture(scope="module")
def loading_seconds() -> dict[str, float]:
    """Processor seconds for each model, loaded one after the other without pickle in a process of their own."""
    code = """
import pickle, sys, time, torch
import finewave as fw
def refuse(*a, **k): raise AssertionError("unpickled")
pickle.load = pickle.loads = pickle.Unpickler = torch.load = refuse
for name in sys.argv[1:]:
    start = time.process_time()
    fw.load_model(name)
    print(name, time.process_time() - start)
"""
    done = subprocess.run([sys.executable, "-c", code, *NAMES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {name: float(seconds) for name, seconds in map(str.split, done.stdout.splitlines())}


@pytest.mark.parametrize("name", NAMES)
def test_loading_takes_less_than_two_seconds_and_no_pickle(name: str, loading_seconds: dict[str, float]) -> None:
    """PyTorch already imported; the first model alone imports what all of them need, so its time counts for each."""
    imports = loading_seconds[NAMES[0]]
    assert imports + loading_seconds[name] < 2


@pytest.mark.parametrize("name", NAMES)
def test_a_grey_ramp_stays_in_range(name: str) -> None:
    """A smooth input gives a smooth, bounded, non-constant spectrum image; of land, that of a soil."""
    model = fw.load_model(name)
    s = model.upscaling
    sides = {key: 24 * s if key in ("hr_msi", "ref_rgb") and model.task != "ssr" else 24 for key in model.inputs}
    bands = {key: model.bands_of(key) or 31 for key in model.inputs}
    ramps = {key: torch.linspace(0.05, 0.6, n).expand(1, bands[key], n, n).contiguous() for key, n in sides.items()}
    if model.seen is not None and set(bands.values()) == {len(model.card.ms_wavelengths_nm)}:  # none has seen grey
        reflectance = torch.tensor(np.interp(model.card.ms_wavelengths_nm, [400, 900, 2500], [0.3, 1.0, 1.0]))
        ramps = {key: ramp * reflectance[:, None, None].float() for key, ramp in ramps.items()}
    y = model.predict(**ramps)
    assert y.shape == (1, model.bands_of(model.output) or 31, 24 * s, 24 * s)
    assert -0.2 < y.min() < y.max() < 1.5
    columns = y[0, 15, 12 * s, 2 * s : -2 * s]
    assert columns[-1] > 3 * columns[0] > 0


def images_of(model: Any, where: str) -> str:
    """Return by what the images are made on which a model and its floor are scored."""
    card = model.card
    made_by = (model.scale, card.sensor, card.ms_bands, card.measured_msi, card.degradation, reference_options(model))
    return repr((where, model.task, made_by))


@pytest.fixture(scope="module")
def floors() -> dict[str, Any]:
    """Means of the floor by what its images are made by: several models have the same, which is scored once."""
    return {}


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", NAMES)
def test_the_card_tells_the_truth(name: str, real_images: Path, floors: dict[str, Any]) -> None:
    """The validation scenes give the card's figures again, and the floor is as far below as it says."""
    model = fw.load_model(name)
    ((where, said),) = model.card.metrics.items()
    dataset = where.removesuffix("/val")  # not always that of the training
    images = images_of(model, where)
    named = said["baseline"]["name"]
    # on CAVE's large scenes only the floor that the card names is scored: each look-up of neighbours takes a minute
    scored = {named: FLOORS[model.task][named]} if dataset == "cave" else None
    scores = evaluate_model(model, dataset, "val", baseline=images not in floors, floors=scored)
    floor = floors.setdefault(images, scores.get("baseline"))["mean"]
    for metric, value in said["mean"].items():
        assert scores["mean"][metric] == pytest.approx(value, rel=2e-3), metric
    for metric, value in said["baseline"]["mean"].items():
        assert floor[metric] == pytest.approx(value, rel=2e-3), metric
    if name in BELOW_THE_FLOOR:
        assert scores["mean"]["psnr"] < floor["psnr"]
        return
    assert scores["mean"]["psnr"] > floor["psnr"]
    if name in OTHER_ENDS:
        return
    # a reference in three bands adds detail, hardly spectra
    tolerance = 1.01 if model.task == "refsr" else 1.0
    assert scores["mean"]["sam"] < tolerance * floor["sam"]


def test_cards_of_the_same_images_name_the_same_floor() -> None:
    """So that one of them, whose floor is scored anew, speaks for the others."""
    named: dict[str, Any] = {}
    for name in NAMES:
        model = fw.load_model(name)
        ((where, said),) = model.card.metrics.items()
        assert said["baseline"]["name"] in FLOORS[model.task], name
        assert named.setdefault(images_of(model, where), said["baseline"]) == said["baseline"], name


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_prints_the_card(name: str) -> None:
    card = fw.load_model(name).card
    row = next(
        line
        for line in (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8").splitlines()
        if line.startswith(f"| `{name}`")
    )
    (scores,) = card.metrics.values()
    mean, floor = scores["mean"], scores["baseline"]["mean"]
    figures = [cell.strip() for cell in row.strip("|").split("|")]
    expected = [f"{mean['psnr']:.2f}", f"{mean['ssim']:.4f}", f"{mean['sam']:.2f}", f"{mean['ergas']:.2f}"]
    assert figures[-6:-2] == expected
    assert figures[-2:] == [f"{floor['psnr']:.2f}", f"{floor['sam']:.2f}"]
