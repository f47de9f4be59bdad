"""Cards: complete, or refused by the name of what is missing."""

from __future__ import annotations

import dataclasses
import json

import pytest

from finewave.systems.registry import create_model
from finewave.warnings import FinewaveWarning
from finewave.zoo.card import Card, describe

LATER = ("training_crop", "measured_msi", "reference", "halos", "bfloat16")


@pytest.fixture(scope="module")
def card() -> Card:
    net = create_model("jssunet", scale=2, features=8, stages=1)
    return describe(net, "tiny", sensor="srgb", wavelengths_nm=[500.0, 600.0], sha256="00")


def test_json_round_trip(card: Card) -> None:
    assert Card.from_json(card.to_json()) == card


def test_facts_come_from_the_network(card: Card) -> None:
    assert (card.system, card.task, card.inputs, card.output) == ("jssunet", "sssr", ["lr_msi"], "hr_hsi")
    assert (card.scale, card.size_multiple, card.config["features"]) == (2, 1, 8)
    assert card.receptive_field > 0


@pytest.mark.parametrize("key", [f.name for f in dataclasses.fields(Card) if f.name not in LATER])
def test_each_missing_key_is_named(card: Card, key: str) -> None:
    content = json.loads(card.to_json())
    del content[key]
    if key in LATER:  # cards of earlier versions go on being read
        assert getattr(Card.from_json(json.dumps(content)), key) is None
        return
    with pytest.raises(ValueError, match=f"'{key}'"):
        Card.from_json(json.dumps(content))


def test_older_cards_say_it_in_their_recipe(card: Card) -> None:
    older = {key: value for key, value in json.loads(card.to_json()).items() if key not in LATER}
    assert Card.from_json(json.dumps(older)) == card
    older["recipe"] = {"data": {"crop": 96, "msi": "rgb", "reference": {"parallax": 12}}}
    read = Card.from_json(json.dumps(older))
    assert (read.training_crop, read.measured_msi, read.reference) == (96, "rgb", {"parallax": 12})
    newer = json.loads(read.to_json()) | {"training_crop": 64}
    assert Card.from_json(json.dumps(newer)).training_crop == 64


def test_unknown_keys_of_a_newer_version_are_ignored_with_a_warning(card: Card) -> None:
    content = json.loads(card.to_json()) | {"colour_of_the_sky": "blue"}
    with pytest.warns(FinewaveWarning, match="colour_of_the_sky"):
        assert Card.from_json(json.dumps(content)) == card


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("system", "jsunet", "did you mean 'jssunet'"),
        ("task", "magic", "unknown task 'magic'"),
        ("scale", "four", "scale is 'four'"),
        ("config", [], "config is"),
        ("training_crop", "96", "training_crop is '96'"),
        ("halos", {"network": -1}, "halos is"),
        ("bfloat16", {"psnr": "little"}, "bfloat16 is"),
    ],
)
def test_impossible_values_are_refused(card: Card, key: str, value: object, message: str) -> None:
    content = json.loads(card.to_json()) | {key: value}
    with pytest.raises(ValueError, match=message):
        Card.from_json(json.dumps(content))


@pytest.mark.parametrize("text", ["", "[]", "{", "3"])
def test_text_that_is_no_card(text: str) -> None:
    with pytest.raises(ValueError, match="card"):
        Card.from_json(text)


def test_unknown_fact_is_refused(card: Card) -> None:
    with pytest.raises(ValueError, match="did you mean 'licence'"):
        card.with_facts(license="MIT")
