from __future__ import annotations

import inspect
import subprocess
import sys
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from finewave.systems.registry import SYSTEMS, System
from finewave.systems.signatures import annotations_of, phase_options_of

ALIKE = """
from collections.abc import Sequence
from typing import Literal

Words = Literal["a", "b"]
Numbers = Sequence[int]


class Plain:
    phase_options = {"made": "later"}

    def __init__(self, scale: int = 4, *, blocks: Sequence[int] | None = None, start: Literal["x"] = "x", free=1): ...


class Aliased:
    phase_options: dict[str, str] = dict(made="here")

    def __init__(self, words: Words = "a", numbers: Numbers = ()): ...


class Known:
    def __init__(self, words: Words = "a"): ...


class Heir(Plain): ...
"""


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_source_says_what_the_class_says(name: str) -> None:
    network = SYSTEMS[name].load()
    hints = typing.get_type_hints(network.__init__)
    assert annotations_of(SYSTEMS[name]) == {key: hints.get(key, Any) for key in inspect.signature(network).parameters}
    assert phase_options_of(SYSTEMS[name]) == network.phase_options


def test_what_the_source_does_not_say_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "alike.py").write_text(ALIKE)
    monkeypatch.syspath_prepend(tmp_path)
    plain, aliased, heir = (System(f"alike:{name}", "sr") for name in ("Plain", "Aliased", "Heir"))
    said = annotations_of(plain)
    known = annotations_of(System("alike:Known", "sr"))
    assert known["words"] == typing.Literal["a", "b"]
    assert "alike" not in sys.modules
    assert (list(said), said["scale"], said["free"]) == (["scale", "blocks", "start", "free"], int, Any)
    assert annotations_of(aliased)["numbers"] == Sequence[int]
    assert annotations_of(heir) == said
    assert phase_options_of(aliased) == {"made": "here"}
    assert phase_options_of(heir) == {"made": "later"}


def test_recipes_are_checked_without_pytorch() -> None:
    recipes = ("jssunet-cave-x4", "sschsr-cave-x4", "sr-ssr-cave-x4", "common-cave-x4", "mulsr-cave-x4")
    code = f"""
import sys
from finewave.errors import InputError
from finewave.training.configuration.recipes import load_recipe
for name in {recipes}:
    load_recipe(name, ["phase1.learning_rate=0.001"])
try:
    load_recipe("jssunet-cave-x4", ["model.featurse=64"])
except InputError as error:
    print(error)
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "recipe jssunet-cave-x4 has no key 'model.featurse'; did you mean 'model.features'?",
        "False",
    ]
