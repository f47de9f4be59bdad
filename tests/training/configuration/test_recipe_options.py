"""Every wrong value of a recipe is refused by its key, in one line; whatever is accepted is of the stated type."""

from __future__ import annotations

import json
import math
import typing
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

import finewave as fw
from finewave.systems.registry import list_systems, system_named
from finewave.systems.signatures import phase_options_of
from finewave.text.sections import keys_of
from finewave.training.configuration.recipe_options import RecipeOptions
from finewave.training.configuration.recipes import check_recipe, load_recipe, phase_sections

COMMON = "common-cave-x4"
OF_KIND = {
    "supervised": (COMMON, "phase1"),
    "unfolding": ("jssunet-cave-x4", "phase1"),
    "post": ("jssunet-cave-x4", "phase2"),
    "flow": ("sschsr-cave-x4", "phase1"),
    "warp": ("sschsr-cave-x4", "phase2"),
    "guided": ("sschsr-cave-x4", "phase3"),
}

WRONG = [
    "seed=abc",
    "seed=-1",
    "seed=1.5",
    "seed=null",
    "seed=true",
    "name=null",
    "name=[a]",
    "out={a: 1}",
    "init_from=[1]",
    "data=5",
    "data=null",
    "data.crop=0",
    "data.crop=-8",
    "data.crop=abc",
    "data.crop=8.5",
    "data.batch_size=0",
    "data.batch_size=null",
    "data.sampling=everywhere",
    "data.sampling=5",
    "data.augment=maybe",
    "data.augment=1",
    "data.gain=[1]",
    "data.gain=1",
    "data.gain=[0, 1]",
    "data.gain=[1, inf]",
    "data.gain=[a, b]",
    "data.mix=-1",
    "data.mix=1.5",
    "data.mix=nan",
    "data.blind=sometimes",
    "data.roll=2",
    "data.degradation=gaussian",
    "data.degradation.kernel=box",
    "data.degradation.fwhm=-3",
    "data.degradation.mtf=1",
    "data.degradation.noise=-0.1",
    "data.degradation.noise=inf",
    "data.degradation.size=4",
    "data.degradation.variances=[1]",
    "data.reference=5",
    "data.reference.layers=0",
    "model=5",
    "model.system=5",
    "model.scale=0",
    "model.scale=two",
    "model.ms_bands=0",
    "model.hs_bands=many",
    "model.features=abc",
    "model.features=-5",
    "model.features=1.5",
    "model.stages=null",
    "phase1=5",
    "phase1.kind=unsupervised",
    "phase1.steps=-5",
    "phase1.steps=0",
    "phase1.steps=many",
    "phase1.steps=null",
    "phase1.epochs=0",
    "phase1.minutes=nan",
    "phase1.minutes=-1",
    "phase1.minutes=soon",
    "phase1.validate_every=0",
    "phase1.optimizer=sgd",
    "phase1.betas=[0.9]",
    "phase1.betas=[0.9, 1]",
    "phase1.weight_decay=-1",
    "phase1.learning_rate=-1",
    "phase1.learning_rate=fast",
    "phase1.learning_rate=inf",
    "phase1.schedule=linear",
    "phase1.warmup=2",
    "phase1.floor=-1",
    "phase1.milestones=[2]",
    "phase1.milestones=0.5",
    "phase1.decay=0",
    "phase1.power=0",
    "phase1.clip=-1",
    "phase1.ema=1",
    "phase1.compile=often",
    "phase1.checkpoint=[a]",
    "phase1.precision=half",
    "phase1.output_start=guess",
    "phase1.losses=5",
    "phase1.losses.l1=-1",
    "phase1.losses.l1=much",
    "phase1.losses.l1=0",
    "phase1.part=[sr]",
    "phase1.estimates=perhaps",
    "phase1.data=5",
    "phase1.data.crop=0",
]


@lru_cache
def _text(recipe: str) -> str:
    return json.dumps(load_recipe(recipe))


def _read(recipe: str, override: str) -> dict[str, Any]:
    """Check a recipe with a value replaced, without reading its files again."""
    changed: Any = OmegaConf.to_container(
        OmegaConf.merge(json.loads(_text(recipe)), OmegaConf.from_dotlist([override]))
    )
    return check_recipe(changed, recipe)


@pytest.mark.parametrize("override", WRONG)
def test_a_wrong_value_is_refused_by_its_key(override: str) -> None:
    key = override.partition("=")[0]
    with pytest.raises(fw.InputError) as refused:
        _read(COMMON, override)
    assert key.removeprefix("model.").removesuffix(".l1") in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("recipe", "override"),
    [
        ("jssunet-cave-x4", "phase1.stage_weights=[]"),
        ("jssunet-cave-x4", "phase1.stage_weights=[[0.5, 1, 1, 1]]"),
        ("jssunet-cave-x4", "phase1.stage_weights=[[0, 1, 1]]"),
        ("jssunet-cave-x4", "phase1.stage_weights=[[0, 1, 1, -1]]"),
        ("jssunet-cave-x4", "phase1.stage_weights=7"),
        ("jssunet-cave-x4", "phase1.cluster_balance=-1"),
        ("jssunet-cave-x4", "phase2.squared=lots"),
        ("sschsr-cave-x4", "phase3.freeze=flow_network"),
        ("sschsr-cave-x4", "phase1.pretrained=raft.pth"),
        ("sr-ssr-cave-x4", "model.sr_options.features=wide"),
    ],
)
def test_so_is_one_of_what_a_system_has_for_itself(recipe: str, override: str) -> None:
    with pytest.raises(fw.InputError, match=override.partition("=")[0].replace(".", r"\.")):
        _read(recipe, override)


def test_what_is_accepted_is_said() -> None:
    with pytest.raises(fw.InputError, match=r"^phase1\.steps=-5 is out of range; it must be >= 1$"):
        load_recipe(COMMON, ["phase1.steps=-5"])
    with pytest.raises(fw.InputError, match=r"^seed='abc' is of the wrong kind; it must be an integer >= 0 and <= "):
        load_recipe(COMMON, ["seed=abc"])
    with pytest.raises(fw.InputError, match=r"^data\.gain=\[1\] is out of range; it must be a list of 2 numbers > 0$"):
        load_recipe(COMMON, ["data.gain=[1]"])


@pytest.mark.parametrize("key", ["data.crop", "phase1.steps", "phase1.losses", "name", "model.system", "seed"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    tree = load_recipe("jssunet-cave-x4" if key == "name" else COMMON)
    section, _, name = key.rpartition(".")
    del (tree[section] if section else tree)[name]
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(fw.InputError, match=f"lacks the key '{key}'"):
        load_recipe(path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("base: [1]", "base="),
        ("base: common-cave-x4\nparts: 5", "parts=5"),
        ("base: sr-ssr-cave-x4\nparts: {sr: 5}", "parts="),
        ("base: common-cave-x4\nmodel: 5", "model"),
        ("base: common-cave-x4\nphase2: 5", "phase2=5"),
        ("base: common-cave-x4\ndata: {1: 2}", r"data\.1"),
    ],
)
def test_a_recipe_of_another_shape_is_refused(text: str, named: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(fw.InputError, match=named):
        load_recipe(path)


def test_a_key_of_another_kind_of_phase_is_refused() -> None:
    with pytest.raises(fw.InputError, match=r"no key 'phase1\.stage_weights'"):
        load_recipe(COMMON, ["phase1.stage_weights=[[0, 1, 1, 1]]"])
    with pytest.raises(fw.InputError, match=r"no key 'phase2\.steps'; did you mean 'phase1\.steps'"):
        load_recipe(COMMON, ["phase2.steps=5"])


@pytest.mark.parametrize("name", ["jssunet-cave-x4", "sschsr-cave-x4-short", "sr-ssr-cave-x4"])
def test_a_recipe_read_again_is_the_same(name: str, tmp_path: Path) -> None:
    path = tmp_path / "again.yaml"
    path.write_text(yaml.safe_dump(json.loads(_text(name)), sort_keys=False))
    assert load_recipe(path) == json.loads(_text(name))


@lru_cache
def _keys() -> list[tuple[str, str]]:
    """Every key of every kind of phase, and of the rest, with a recipe that has its section."""
    keys = [(COMMON, key) for key in keys_of(RecipeOptions)]
    for kind, (recipe, phase) in OF_KIND.items():
        system = json.loads(_text(recipe))["model"]["system"]
        sections = phase_sections(system, kind, "kind")
        keys += [(recipe, key) for each in sections for key in keys_of(each, f"{phase}.")]
    return keys


def test_no_kind_of_phase_is_left_out() -> None:
    own = {kind for name in list_systems() for kind in phase_options_of(system_named(name))}
    assert {"supervised", *own} == set(OF_KIND)


numbers = st.one_of(st.integers(-(2**40), 2**40), st.floats(width=32), st.sampled_from([0, 1, -1, 2, 0.5]))
scalars = st.one_of(st.none(), st.booleans(), numbers, st.text("ab=[]{}:,.$ é0", max_size=6))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2)
)


def _is_a(value: Any, kind: Any) -> bool:
    """Return whether a value is of an annotated type, without the code under test."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        return isinstance(value, list) and all(_is_a(each, arguments[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(_is_a(each, arguments[1]) for each in value.values())
    if arguments:
        return any(_is_a(value, each) for each in arguments)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def _type_of(kind: type, path: list[str]) -> Any:
    hint = typing.get_type_hints(kind)[path[0]]
    for each in typing.get_args(hint) or (hint,):
        if hasattr(each, "__dataclass_fields__"):
            return None if len(path) == 1 else _type_of(each, path[1:])
    return hint


def _outcome(tree: Any, recipe: str) -> tuple[str | None, dict[str, Any]]:
    try:
        return None, check_recipe(tree, recipe)
    except fw.InputError as error:
        return str(error), {}


def _try(recipe: str, key: str, value: Any) -> None:
    """Whatever a key is given: one line that names it, or a recipe that has it in the right type."""
    tree = json.loads(_text(recipe))
    path = key.split(".")
    section: Any = tree
    for name in path[:-1]:
        section = section.setdefault(name, {}) if isinstance(section, dict) else {}
        if section is None:
            return
    section[path[-1]] = value
    message, read = _outcome(tree, recipe)
    if message is not None:
        assert len(message.splitlines()) == 1
        return
    phase = path[0] if path[0].startswith("phase") else None
    inside = path if phase is None else path[1:]
    sections = (RecipeOptions,)
    if phase is not None:
        sections = phase_sections(read["model"]["system"], read[phase]["kind"], "kind")
    hint = next(_type_of(each, inside) for each in sections if inside[0] in typing.get_type_hints(each))
    found: Any = read
    for name in path:
        found = found[name]
    assert hint is None or _is_a(found, hint), (key, found)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_any_value_of_any_key(data: st.DataObject) -> None:
    recipe, key = data.draw(st.sampled_from(_keys()))
    _try(recipe, key, data.draw(values))


@pytest.mark.slow
@settings(max_examples=5000, deadline=None, derandomize=True)
@given(st.data())
def test_any_value_of_any_key_at_length(data: st.DataObject) -> None:
    recipe, key = data.draw(st.sampled_from(_keys()))
    _try(recipe, key, data.draw(values))
