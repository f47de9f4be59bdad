"""Training and evaluation follow the data set: bands, sensor, scenes of any size, full scales of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import finewave as fw
from finewave.datasets.registry import prepare, rgb_sensor
from finewave.datasets.store import Store
from finewave.evaluation import evaluator as evaluation
from finewave.evaluation.evaluator import baseline_for, evaluate_model
from finewave.physics.sensors import get_sensor
from finewave.studies import scoring
from finewave.studies.study_request import request_cells
from finewave.systems.registry import SYSTEMS, create_model
from finewave.training.configuration.recipes import load_recipe
from finewave.training.trainer import train
from finewave.zoo.model import Model
from tests.datasets.layouts import LAYOUTS
from tests.training.stand_ins import STAND_INS


@pytest.fixture
def vnir100(tmp_path: Path) -> Path:
    """The airborne pool in small, prepared."""
    layout = LAYOUTS["vnir100"]()
    return prepare(layout.dataset, layout.publish(tmp_path / "published"), tmp_path / "vnir100.zarr")


def test_a_recipe_leaves_bands_and_sensor_to_the_data_set() -> None:
    assert load_recipe("common-cave-x4")["model"]["hs_bands"] == 31
    recipe = load_recipe("common-cave-x4", ["data.dataset=vnir100"])
    assert (recipe["data"]["sensor"], recipe["model"]["ms_bands"], recipe["model"]["hs_bands"]) == ("ikonos", 4, 100)
    recipe = load_recipe("common-cave-x4", ["data.dataset=vnir100", "data.sensor=sentinel2a"])
    assert (recipe["data"]["sensor"], recipe["model"]["ms_bands"]) == ("sentinel2a", 13)
    recipe = load_recipe("common-cave-x4", ["data.dataset=vnir100", "model.hs_bands=7"])
    assert recipe["model"]["hs_bands"] == 7
    recipe = load_recipe("common-cave-x4", ["data.dataset=pavia-centre@sspsr"])
    assert recipe["model"]["hs_bands"] == 102
    assert recipe["name"] == "jssunet-common-pavia-centre@sspsr-x4"


def test_training_on_another_data_set(vnir100: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYSTEMS, "plain-ssr", STAND_INS["plain-ssr"])
    small = ["data.crop=8", "data.batch_size=2", "phase1.steps=4", "phase1.validate_every=2", f"out={tmp_path / 'run'}"]
    folder = train(
        "common-cave-x4", ["model.system=plain-ssr", "data.dataset=vnir100", f"data.store={vnir100}", *small]
    )
    card = fw.load_model(folder).card
    assert card is not None
    np.testing.assert_allclose(card.wavelengths_nm, np.linspace(430, 860, 100))
    assert (card.sensor, card.data["dataset"]) == ("ikonos", "vnir100")
    assert card.data["split"]["val"] == ["reno_val"]
    assert "Gamba" in card.data["citation"]
    assert set(card.metrics) == {"vnir100/val"}


def test_each_scene_is_divided_by_its_own_full_scale(vnir100: Path) -> None:
    """The scores are those of the image in [0, 1], by hand."""
    store = Store(vnir100)
    model = baseline_for("bicubic", "vnir100", store=store)
    assert model.card is not None
    assert model.card.sensor == "ikonos"
    scores = evaluate_model(model, "vnir100", "test", store=store)
    for name in store.attributes["split"]["test"]:
        cube = store.read(name) / np.float32(store.full_scale(name))
        height, width = (side - side % 4 for side in cube.shape[1:])
        target = torch.from_numpy(cube[None, :, :height, :width])
        lr_hsi = fw.degrade(target, 4)
        expected = fw.metrics.evaluate(model.predict(lr_hsi=lr_hsi), target, scale=4)
        assert scores["images"][name] == pytest.approx(expected, rel=1e-4, nan_ok=True)  # SSIM: no window fits


def test_pairs_are_evaluated_with_their_measured_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYSTEMS, "plain-refsr", STAND_INS["plain-refsr"])
    layout = LAYOUTS["ssc-hsr"]()
    store = Store(prepare(layout.dataset, layout.publish(tmp_path / "published"), tmp_path / "ssc-hsr.zarr"))
    facts = {"sensor": "nikon-d5100", "degradation": {"kernel": "gaussian", "scale": 2}}
    model = fw.load_model(Model(create_model("plain-refsr", scale=2)).save(tmp_path / "net", **facts))
    seen = []

    def compared(model: Model, image: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(image["ref_rgb"])
        return 0.9 * image["hr_hsi"], image["hr_hsi"]

    monkeypatch.setattr(evaluation, "_compared", compared)
    scores = evaluate_model(model, "ssc-hsr", "test", store=store)
    assert scores["protocol"]["reference"] == {"measured": "ref_rgb"}
    torch.testing.assert_close(seen, [torch.full((1, 3, 6, 6), 10 / 255)])  # the test pair is the eleventh


@pytest.mark.parametrize("name", ["ssc-hsr", "flowers"])
def test_studies_score_pairs_with_their_recorded_reference(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SYSTEMS, "plain-refsr", STAND_INS["plain-refsr"])
    monkeypatch.setenv("FINEWAVE_PREPARED", str(tmp_path))
    layout = LAYOUTS[name]()
    prepare(layout.dataset, layout.publish(tmp_path / "published"), tmp_path / f"{name}.zarr")
    seen = []

    def estimate(model: Model, images: dict[str, torch.Tensor], image: str) -> torch.Tensor:
        seen.append(images["ref_rgb"])
        return images[image]

    monkeypatch.setattr(scoring, "estimate", estimate)
    cell = next(request_cells("sschsr", datasets=[name], scales=[2], rows=["ssc-hsr"]).cells())
    scoring.score(Model(create_model("plain-refsr", scale=2)), cell)
    torch.testing.assert_close(seen, [torch.full((1, 3, 6, 6), 10 / 255)])


def test_the_rgb_bands_of_a_sensor() -> None:
    assert rgb_sensor("nikon-d5100") == "nikon-d5100"
    assert rgb_sensor("ikonos") == "ikonos:red,green,blue"
    assert get_sensor(rgb_sensor("ikonos")).bands == ("red", "green", "blue")
    assert rgb_sensor("ikonos:nir,red,green") == "ikonos:nir,red,green"
    with pytest.raises(fw.InputError, match=r"sentinel2a has the bands B1, .* choose another sensor or its bands"):
        rgb_sensor("sentinel2a")


def test_a_part_without_scenes_is_refused(vnir100: Path) -> None:
    store = Store(vnir100)
    store.attributes["split"]["test"] = []
    with pytest.raises(fw.InputError, match="no scenes for test; others: train, val"):
        evaluate_model(baseline_for("bicubic", "vnir100", store=store), "vnir100", "test", store=store)
