"""What is said to be published is: labels follow from the sources that stand in the recipes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from finewave.cli import main
from finewave.training.configuration.recipe_sources import PUBLISHED, ValueSource, label, sources_of, unpublished
from finewave.training.configuration.recipes import find_recipe, list_recipes, load_recipe

ROOT = Path(__file__).parents[3]
CLAIM = re.compile(rf"\b{PUBLISHED}\b")
OWN = re.compile(
    r"(common|fit)(-.*)?|.*-short|jssunet-photo-x4|jssunet-cave-x[28]-from-x4|.*-(enmap|vnir100|aviris)(-x\d)?|(residual|scene|any-sensor|blue-end)-.*"
)
SMALL = """
name: mine                # names decide nothing
out: runs/mine
seed: 1                   # C: an option
model:                    # P, IV
  system: us3rn
  scale: 4
data: {store: null, sensor: %s}   # %s
phase1:
  kind: supervised
  schedule: constant      # P
  milestones: []          # of another schedule
  steps: 10               # P, C: the article, with its code
"""


def recipe(folder: Path, text: str, name: str = "mine") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def test_the_letters_of_a_recipe(tmp_path: Path) -> None:
    sources = sources_of(recipe(tmp_path, SMALL % ("nikon-d700", "C, F: a camera")))
    assert sources["seed"] == ValueSource(("C",), "an option")
    assert sources["model.scale"] == ValueSource(("P",), "IV")  # that of its section
    assert sources["data"] == ValueSource(("C", "F"), "a camera")
    assert sources["phase1.steps"].letters == ("P", "C")
    assert sources["name"] == ValueSource((), "names decide nothing")
    assert [source.published for source in sources.values()].count(True) == 5


@pytest.mark.parametrize(
    ("comment", "letters"),
    [
        ("P, IV", ("P",)),
        ("P, C", ("P", "C")),
        ("F; not stated", ("F",)),
        ("C (its help text says 1e-2)", ("C",)),
        ("C", ("C",)),
        ("Published: nothing", ()),
        ("CAVE", ()),
    ],
)
def test_what_counts_as_a_letter(comment: str, letters: tuple[str, ...], tmp_path: Path) -> None:
    assert sources_of(recipe(tmp_path, f"seed: 1  # {comment}\n"))["seed"].letters == letters


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes need not be complete: these have a few keys of each kind."""
    monkeypatch.setattr("finewave.training.configuration.recipes.check_recipe", lambda config, source: config)


@pytest.mark.usefixtures("short")
def test_as_published_is_what_the_sources_allow(tmp_path: Path) -> None:
    assert label(recipe(tmp_path, SMALL % ("nikon-d700", "C"))) == "as published" == PUBLISHED
    assert label(recipe(tmp_path, SMALL % ("nikon-d700", "C, F"))) == "after the article, except data"
    assert label(recipe(tmp_path, SMALL % ("nikon-d700", "Q"))) == "after the article, except data"
    untagged = (SMALL % ("nikon-d700", "C")).replace("steps: 10               # P, C:", "steps: 10  #")
    assert label(recipe(tmp_path, untagged)) == "after the article, except phase1 (steps)"
    nothing = re.sub(r"#.*", "", SMALL % ("nikon-d700", "C"))
    assert label(recipe(tmp_path, nothing)) == "finewave's own"


@pytest.mark.usefixtures("short")
def test_overrides_and_what_another_source_decides(tmp_path: Path) -> None:
    path = recipe(tmp_path, SMALL % ("nikon-d700", "F"))
    assert label(path, ["model.scale=2", "phase1.steps=3"]) == (
        "after the article, except data, model (scale), phase1 (steps)"
    )
    assert label(path, aside=["data"]) == PUBLISHED
    assert label(path, ["out=elsewhere", "name=other"], aside=["data"]) == PUBLISHED
    assert unpublished(path, ["seed=3"]) == ["data", "seed"]


def test_a_training_says_what_its_recipe_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finewave.training.trainer.train", lambda recipe, **_: Path("runs"))
    done = CliRunner().invoke(main, ["train", "sspsr-chikusei-x4", "model.features=64"])
    assert done.exit_code == 0, done.output
    assert f"recipe sspsr-chikusei-x4: {label('sspsr-chikusei-x4', ['model.features=64'])}" in done.stderr
    assert "features" in done.stderr


@pytest.mark.usefixtures("short")
def test_a_recipe_has_the_sources_of_its_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = recipe(tmp_path, SMALL % ("nikon-d700", "C"), "base")
    path = recipe(tmp_path, f"base: {base}\nphase1:\n  steps: 7\nphase2:\n  steps: 9  # P\n")
    assert unpublished(path) == ["phase1.steps"]
    assert sources_of(path)["phase2.schedule"].letters == ("P",)  # a further phase is the first but for what it says


def test_a_composition_has_the_sources_of_its_parts() -> None:
    sources, part = sources_of("sr-ssr-cave-x4"), sources_of("sspsr-cave-x4")
    for key in ("learning_rate", "steps", "losses"):
        assert sources[f"phase1.{key}"] == part[f"phase1.{key}"]
    assert sources["model.sr_options.group_size"] == part["model.group_size"]
    assert sources["phase2.data.batch_size"] == sources_of("awan-cave")["data.batch_size"]
    assert sources["model.ssr"].letters == ("P",)


@pytest.mark.parametrize("name", [name for name in list_recipes() if not OWN.fullmatch(name)])
def test_every_value_of_a_recipe_after_an_article_says_its_source(name: str) -> None:
    sources = sources_of(name)
    assert [key for key in unpublished(name) if not sources[key].letters] == []
    values = load_recipe(name)
    for section in ("model", "data", *(key for key in values if key.startswith("phase"))):
        told = {key.split(".")[1] for key in sources if key.startswith(f"{section}.")}
        assert set(values[section]) - told <= {"part", "data"}  # which a composition sets


@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_says_that_it_is_as_published_only_if_it_is(name: str) -> None:
    text = find_recipe(name).read_text(encoding="utf-8")
    assert not CLAIM.search(text) or label(name) == PUBLISHED


def test_pages_call_a_recipe_as_published_only_if_it_is() -> None:
    names = set(list_recipes())
    for page in (*ROOT.glob("docs/**/*.md"), ROOT / "README.md"):
        for line in page.read_text(encoding="utf-8").splitlines():
            for name in names & set(re.findall(r"[a-z0-9][a-z0-9-]+", line)):
                assert not CLAIM.search(line) or label(name) == PUBLISHED, f"{page.name}: {line}"
