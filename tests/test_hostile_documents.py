"""Cards, recipes and descriptions from anywhere: refused in one line where they are none; nothing in them runs."""

from __future__ import annotations

import inspect
import json
import shutil
from pathlib import Path

import pytest

import finewave as fw
from finewave.datasets.custom import read_description
from finewave.errors import InputError
from finewave.physics.sensors.yaml_sensor import read_yaml_sensor
from finewave.systems.registry import list_systems, system_named
from finewave.training.configuration.recipes import load_recipe
from finewave.viz.server.offered_models import model_label
from finewave.zoo.card import Card
from finewave.zoo.model import Model
from finewave.zoo.readme import readme_of

DEEP = 100_000
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)
YAML = {
    "program": "name: !!python/object/apply:os.system ['touch RAN']\n",
    "aliases": BOMB,
    "brackets": "name: " + "[" * DEEP,
    "dashes": "- " * DEEP,
    "nul": 'name: "\\0"\n',
    "control characters": "\x00\x01",
    "digits": "seed: " + "9" * 5000,
    "no text": "\udcff",
}


def refused(read, *arguments: object) -> None:
    with pytest.raises(InputError) as error:
        read(*arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", YAML)
def test_yaml_that_is_hostile(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the check of levels the brackets end the process: the parser in C calls itself."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.yaml"
    path.write_bytes(YAML[kind].encode(errors="surrogateescape"))
    refused(load_recipe, str(path))
    refused(read_yaml_sensor, path)
    refused(read_description, path)
    with pytest.raises(InputError) as error:
        read_yaml_sensor(path)
    assert str(error.value).count("cannot be read") <= 1  # not once for each of two functions
    assert [each.name for each in tmp_path.iterdir()] == ["a.yaml"]


@pytest.mark.parametrize(
    "change",
    [
        lambda card: "[" * DEEP,
        lambda card: card[:-1] + ',"recipe": ' + '{"a":' * 5000 + "1" + "}" * 5001,
        lambda card: card.replace('"scale": ', '"scale": 1e999, "old": ', 1),
        lambda card: card.replace('"scale": ', '"scale": ' + "9" * 5000 + ', "old": ', 1),
        lambda card: json.dumps(json.loads(card) | {"name": "\ud800"}),
        lambda card: json.dumps(json.loads(card) | {"name": "a\0b"}),
        lambda card: json.dumps(json.loads(card) | {"name": "../../a"}),
    ],
)
def test_cards_that_are_hostile(change, tiny_weights: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_weights, tmp_path / "tiny"))
    card = folder / "card.json"
    card.write_text(change(json.dumps(json.loads(card.read_text()))))
    refused(fw.load_model, folder)


@pytest.mark.parametrize(
    ("system", "small", "huge"),
    [
        ("jssunet", {"scale": 2, "features": 8, "stages": 1, "post": False}, {"features": 40_000}),
        ("kernel-ridge", {"centres": 10}, {"centres": 10**9}),
        ("scene-ridge", {}, {"ms_bands": 10**6}),
        ("ssfin", {"scale": 2, "features": 12, "blocks": 1, "reduction": 3}, {"hs_bands": 10**9}),
        ("sspsr", {"scale": 2, "features": 8, "blocks": 1, "reduction": 4}, {"group_size": 10**9}),
        ("ssc-hsr", {"scale": 2, "features": 8, "flow_features": 8}, {"flow_iterations": 10**9}),
        ("residual-fusion", {}, {"crop": 10**9}),
    ],
)
def test_a_huge_network_of_a_card_is_refused_before_it_takes_memory(
    system: str, small: dict[str, int], huge: dict[str, int], tmp_path: Path
) -> None:
    folder = Model(fw.create_model(system, **small)).save(tmp_path / "small")
    fw.load_model(folder)
    card = json.loads((folder / "card.json").read_text())
    card["config"] |= huge
    (folder / "card.json").write_text(json.dumps(card))
    resource = pytest.importorskip("resource")  # of Unix
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(fw.load_model, folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KB; each would take gigabytes


def test_every_whole_number_of_a_system_has_an_upper_bound() -> None:
    """Before anything is made: some say how often a layer is run, which no comparison with the weights shows."""
    tried = 0
    for system in list_systems():
        for option, stated in inspect.signature(system_named(system).load()).parameters.items():
            if type(stated.default) is int:
                with pytest.raises(InputError, match=f"{option}=10000000000 is out of range; it must be at most"):
                    fw.create_model(system, **{option: 10**10})
                tried += 1
    assert tried > 100


def test_facts_of_another_kind_are_refused_by_name(tiny_weights: Path) -> None:
    """Whatever a card that is read says can be shown."""
    given = json.loads((tiny_weights / "card.json").read_text())
    others = ["<svg>", 5, -1, [], {}, ["a", {}], {"a": ["b"]}, True, float("inf"), [1, 2], [None], "x" * 10**5]
    read = 0
    for key in given:
        for value in others:
            try:
                card = Card.from_json(json.dumps(given | {key: value}))
            except InputError as error:
                assert key in str(error) or key in ("task", "system"), (key, value)  # noqa: PT017 - some are read
                continue
            read += 1
            readme_of(card)
            model_label("a", card)
    assert read > 50
