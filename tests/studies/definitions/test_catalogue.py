from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch

import finewave as fw
from finewave.evaluation.protocols import PROTOCOLS
from finewave.metrics import METRICS
from finewave.metrics.conventions import CONVENTIONS
from finewave.studies.dataset_facts import base_of
from finewave.studies.definitions.catalogue import STUDIES
from finewave.studies.experiment import OF_THE_TABLE, recipe_name
from finewave.studies.reports.published import FOLDER, published_row, published_values
from finewave.studies.reports.tables import build_table
from finewave.studies.study_request import request_cells
from finewave.systems.registry import create_model
from finewave.training.configuration.recipe_sources import label
from finewave.training.configuration.recipes import load_recipe, network_options
from finewave.zoo.distribution.listing import list_models


def test_protocols_are_whole() -> None:
    from finewave.physics.degradation import degrade

    for name, protocol in PROTOCOLS.items():
        assert protocol.name == name
        assert protocol.convention in CONVENTIONS
        assert set(protocol.metrics) <= set(METRICS)
        degrade(torch.rand(1, 2, 32, 32), 4, **protocol.degradation)
        assert name in protocol.text
        assert protocol.source in protocol.text


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("recipes", ["published", "short"])
def test_every_row_has_a_recipe_that_builds_its_network(name: str, recipes: str) -> None:
    """Sizes that take long to build are left at what the recipe says but for the widths."""
    for cell in request_cells(name, datasets=["cave"], recipes=recipes).cells():
        assert cell.row.system in list_models()
        if cell.recipe is None:
            create_model(cell.row.system, **cell.row.options)
            continue
        assert cell.recipe["model"]["system"] == cell.row.system
        assert cell.recipe["model"]["scale"] == cell.scale
        assert cell.recipe["data"]["degradation"] == cell.protocol.as_dict()["degradation"]
        assert cell.recipe["data"]["crop"] % cell.scale == 0
        assert cell.recipe_name.endswith("-short") == (recipes == "short")
        if recipes == "short":
            system, options = network_options(cell.recipe)
            create_model(system, **{**options, **({"features": 8} if "features" in options else {})})


def test_what_is_trained_together_is_not_scored_apart() -> None:
    def cells(recipes: str) -> dict:
        return {cell.row.key: cell for cell in request_cells("table8", datasets=["cave"], recipes=recipes).cells()}

    short, common = cells("short"), cells("common")
    assert short["with"].training == short["without"].training  # post-processing learns in a phase of its own
    assert common["with"].training != common["without"].training
    assert common["without"].recipe["model"]["post"] is False
    assert common["with"].recipe["model"].get("post", True) is True


def test_each_row_of_an_ablation_is_another_training() -> None:
    shared = {"table8": 1}
    for name, study in STUDIES.items():
        cells = list(request_cells(name, datasets=["cave"], scales=[4]).cells())
        assert len({cell.key for cell in cells}) == len(study.rows)
        assert len({cell.training for cell in cells}) == shared.get(name, len(study.rows))


def test_the_ablations_are_those_of_the_paper() -> None:
    def recipes(name: str) -> dict[str, dict]:
        return {cell.row.key: cell.recipe for cell in request_cells(name, datasets=["cave"]).cells()}

    assert {key: r["model"]["sr_options"]["upsampling"] for key, r in recipes("table3").items()} == {
        "forward-single": "forward",
        "forward-progressive": "forward",
        "back-projection-single": "back-projection",
        "back-projection-progressive": "back-projection",
    }
    assert [r["model"]["sr_options"]["progressive"] for r in recipes("table3").values()] == [False, True, False, True]
    assert [r["model"]["ssr_options"]["clusters"] for r in recipes("table4").values()] == ["none", "kmeans", "learned"]
    for name, option, values in (("table5", "stages", [2, 4, 6, 8]), ("table6", "features", [16, 32, 64, 128, 256])):
        assert [r["model"][option] for r in recipes(name).values()] == values
        for recipe in recipes(name).values():
            assert recipe["phase1"]["stage_weights"] == [[0, 0.5, 0.2, 0.3]]
            assert recipe["model"]["post"] is False
    schedules = {key: r["phase1"]["stage_weights"] for key, r in recipes("table7").items()}
    assert schedules["211"] == load_recipe("jssunet-cave-x4")["phase1"]["stage_weights"]
    assert schedules["122"] == [[0, 1, 2, 0], [0.3, 1, 0.5, 0.5], [0.6, 0.5, 0, 2]]


def test_the_ablations_of_mulsr_are_those_of_its_paper() -> None:
    for recipes in ("published", "short"):
        cells = [
            c for c in request_cells("mulsr", datasets=["cave"], recipes=recipes).cells() if c.row.system == "mulsr"
        ]
        models = {c.row.key: (c.recipe["model"]["modules"], c.recipe["model"].get("without")) for c in cells}
        assert models == {
            **{f"mulsr-{n}": (n, None) for n in (1, 2, 3, 4)},
            "without-mii": (2, "mii"),
            "without-dsca": (2, "dsca"),
            "without-lfcc": (2, "lfcc"),
            "single-scale": (2, "half-scale"),
        }
        printed = published_values("mulsr.csv")
        assert all(published_row(printed, "cave", 4, key) for key in models)


def test_networks_with_a_reference_see_the_rgb_bands_of_the_sensor() -> None:
    """Chikusei's has four bands, three of which a reference can have; its bands 15, 8 and 3 are not RGB."""
    cells = {c.row.key: c for c in request_cells("sschsr", datasets=["chikusei"], scales=[4]).cells()}
    assert cells["ssc-hsr"].recipe["data"]["sensor"] == "ikonos:red,green,blue"
    assert cells["ssc-hsr"].recipe["model"]["hs_bands"] == 128
    assert cells["ssc-hsr"].recipe["model"]["rgb_bands"] is None
    assert cells["sspsr"].recipe["data"]["sensor"] == "ikonos"
    cells = {c.row.key: c for c in request_cells("sschsr", datasets=["flowers", "ssc-hsr"], scales=[8]).cells()}
    assert cells["ssc-hsr"].recipe["data"]["sensor"] == "nikon-d5100"
    common = load_recipe("common-cave-x4", ["data.dataset=chikusei", "model.system=ssc-hsr"])
    assert common["data"]["sensor"] == "ikonos:red,green,blue"


def test_published_numbers_are_of_rows_that_exist() -> None:
    files = {study.published for study in STUDIES.values()}
    assert files - {None} == {path.name for path in FOLDER.glob("*.csv")}
    assert [study.name for study in STUDIES.values() if study.published is None] == ["readings"]
    for study in (study for study in STUDIES.values() if study.published):
        for (dataset, scale, row), numbers in published_values(study.published).items():
            assert dataset in (*(base_of(each) for each in study.datasets), "*")
            assert scale in (*study.scales, 0)
            assert row in {each.key for each in (*study.rows, *study.not_built)}
            assert set(numbers) <= set(PROTOCOLS[study.protocol].metrics)
            assert all(float(value) > 0 for value in numbers.values())
    values = published_values("jssunet-table2.csv")
    assert len(values) == 3 * 3 * 6
    assert published_row(values, "cave", 4, "jssunet") == {
        "psnr": "37.40",
        "ssim": "0.9427",
        "sam": "8.96",
        "ergas_4": "8.28",
    }
    assert published_row(published_values("mulsr.csv"), "cave", 8, "mulsr-2")["psnr"] == "44.745"
    assert len(published_values("sspsr.csv")) == 2 * (10 + 10 + 7)
    assert len(published_values("sschsr.csv")) == 6 * 5
    assert published_row(published_values("sschsr.csv"), "flowers", 4, "hsifn")["sam"] == "1.49"  # 0.026 rad
    assert published_row(values, "cave", 16, "jssunet") == {}


def test_the_nearest_recipe_of_a_family() -> None:
    assert recipe_name("sspsr", "cave", 8, short=False) == "sspsr-cave-x8"
    assert recipe_name("sspsr", "cave", 2, short=False) == "sspsr-cave-x4"
    assert recipe_name("ssfin", "elsewhere", 4, short=True) == "ssfin-cave-x2-short"
    assert recipe_name("mstpp", "cave", 4, short=False) == "mstpp-cave"
    assert recipe_name("mstpp", "arad-1k", 4, short=False) == "mstpp-arad-1k"
    assert recipe_name("sspsr", "pavia-centre@sspsr", 8, short=False) == "sspsr-pavia-centre-x8"
    assert recipe_name("jssunet", "ntire2020", 8, short=False) == "jssunet-ntire2020-x4"
    assert recipe_name("ssfin", "pavia-centre@jssunet", 2, short=False) == "ssfin-cave-x2"
    assert recipe_name("sschsr", "ssc-hsr", 4, short=False) == "sschsr-ssc-hsr-x4"
    assert recipe_name("common", "cave", 4, short=False) == "common-cave-x4"
    with pytest.raises(fw.InputError, match="no short recipe of common"):
        recipe_name("common", "cave", 4, short=True)


@pytest.mark.parametrize(
    ("name", "dataset", "scale", "row", "parameters"),
    [
        ("sspsr", "chikusei", 4, "sspsr", 13_564_392),
        ("sspsr", "chikusei", 8, "sspsr", 15_924_712),
        ("sspsr", "pavia-centre@sspsr", 4, "sspsr", 13_384_654),
        ("sspsr", "pavia-centre@sspsr", 8, "sspsr", 15_744_974),
        ("sspsr", "cave", 4, "sspsr", 26_077_475),
        ("sspsr", "cave", 8, "sspsr", 28_437_795),
        ("mulsr", "cave", 4, "mulsr-2", 2_509_328 + 37_570),  # with the end of the half scale, which is finewave's
        ("table2", "cave", 4, "us3rn", 295_164),
        ("table2", "ntire2020", 2, "us3rn", 249_226),
        ("table2", "pavia-centre@jssunet", 8, "us3rn", 3_618_203),
        ("table2", "pavia-centre@jssunet", 2, "ssfin", 5_712_584),
        # SSPSR of 3 bands and AWAN (17,461,521): Fusformer has 111,247
        ("table2", "cave", 4, "sr-ssr-fusion", None),
    ],
)
def test_networks_are_as_large_as_those_of_the_articles(
    name: str, dataset: str, scale: int, row: str, parameters: int | None
) -> None:
    (cell,) = request_cells(name, datasets=[dataset], scales=[scale], rows=[row]).cells()
    system, options = network_options(cell.recipe)
    with torch.device("meta"):
        net = create_model(system, **options)
    count = sum(p.numel() for p in net.parameters())
    if parameters is None:
        sizes = {part: sum(p.numel() for p in getattr(net, part).parameters()) for part in net.parts}
        assert (sizes["ssr"], sizes["fusion"]) == (17_461_521, 111_247)
        assert count == sum(sizes.values())
    else:
        assert count == parameters


def test_each_data_set_has_the_settings_published_for_it() -> None:
    (chikusei,) = request_cells("sspsr", datasets=["chikusei"], scales=[4], rows=["sspsr"]).cells()
    assert chikusei.recipe_name == "sspsr-chikusei-x4"
    model, data = chikusei.recipe["model"], chikusei.recipe["data"]
    assert [model[key] for key in ("hs_bands", "group_size", "overlap", "blocks")] == [128, 8, 2, 3]
    assert (data["batch_size"], data["crop"]) == (32, 64)
    patches = (1 + (1792 - 64) // 32) * (1 + (2048 - 64) // 32)
    assert chikusei.recipe["phase1"]["steps"] == 40 * math.ceil(int(0.9 * patches) * 8 / 32)


def test_parts_of_a_composition_learn_as_in_their_own_articles() -> None:
    (cell,) = request_cells("table2", datasets=["cave"], scales=[4], rows=["sr-ssr-fusion"]).cells()
    assert cell.recipe_name == "sr-ssr-fusion-cave-x4"
    for phase, part, recipe in (
        ("phase1", "sr", "sspsr-cave-x4"),
        ("phase2", "ssr", "awan-cave"),
        ("phase3", "fusion", "fusformer-cave-x4"),
    ):
        mine, own = cell.recipe[phase], load_recipe(recipe)
        assert mine["part"] == part
        assert cell.recipe["model"][part] == own["model"]["system"]
        for key in ("steps", "optimizer", "learning_rate", "schedule", "milestones", "power", "losses"):
            assert mine[key] == own["phase1"][key]
        for key in ("batch_size", "augment", "sampling"):
            assert mine["data"][key] == own["data"][key]


def test_a_protocol_says_which_camera() -> None:
    cells = list(request_cells("mulsr", datasets=["cave"], rows=["mulsr-2", "gsa"]).cells())
    assert {cell.sensor for cell in cells} == {"nikon-d700"}
    assert {cell.recipe["data"]["sensor"] for cell in cells if cell.recipe} == {"nikon-d700"}
    assert {cell.facts["protocol"]["sensor"] for cell in cells} == {"nikon-d700"}
    assert PROTOCOLS["mulsr"].degradation["noise"] ** 2 == pytest.approx(0.001, rel=1e-4)
    assert "camera nikon-d700" in PROTOCOLS["mulsr"].text
    (cell,) = request_cells("table2", datasets=["cave"], scales=[4], rows=["us3rn"]).cells()
    assert (cell.sensor, "sensor" in cell.facts["protocol"]) == ("nikon-d5100", False)


def test_tables_say_of_each_recipe_what_is_published() -> None:
    request = request_cells("sspsr", datasets=["chikusei"], scales=[4])
    notes = build_table(request, Path("nowhere")).notes
    said = label("sspsr-chikusei-x4", aside=OF_THE_TABLE)
    assert f"sspsr-chikusei-x4: {said}" in notes
    assert said == "after the article, except data (sampling), phase1 (validate_every)"
    assert not any(re.search(r"\bas published\b", note) for note in notes)


def test_the_common_recipe_for_every_system() -> None:
    cells = [
        cell for cell in request_cells("table2", datasets=["cave"], scales=[4], recipes="common").cells() if cell.recipe
    ]
    assert len({(c.recipe["phase1"]["steps"], c.recipe["data"]["crop"], str(c.recipe["data"])) for c in cells}) == 1
    with pytest.raises(fw.InputError, match=r"no key 'phase1\.stage_weights'"):
        list(request_cells("table7", datasets=["cave"], recipes="common").cells())
    with pytest.raises(fw.InputError, match="trains one branch"):
        list(request_cells("table4", datasets=["cave"], recipes="common").cells())


def test_seeds_are_further_trainings_of_what_is_trained() -> None:
    cells = list(request_cells("table2", datasets=["cave"], scales=[4], seeds=3, rows=["floor", "ssfin"]).cells())
    assert [cell.recipe and cell.recipe["seed"] for cell in cells] == [None, 123, 124, 125]
    assert len({cell.key for cell in cells}) == 4


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"name": "tabel2"}, "did you mean 'table2'"),
        ({"rows": ["jsunet"]}, "did you mean 'jssunet'"),
        ({"datasets": ["cav"]}, "did you mean 'cave'"),
        ({"protocol": "jsunet"}, "did you mean 'jssunet'"),
        ({"recipes": "shot"}, "did you mean 'short'"),
        ({"budget": "lots"}, "budget 'lots'"),
    ],
)
def test_what_is_not_there_is_named_with_the_nearest(said: dict, message: str) -> None:
    with pytest.raises(fw.InputError, match=message):
        request_cells(**{"name": "table2", **said})
