"""What a network's constructor takes, read off its source: recipes are checked without importing PyTorch.

Whatever the source does not say plainly (an inherited constructor, an annotation of other names) is asked of the class.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import typing
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from finewave.systems.registry import System

_NAMES: dict[str, Any] = {each.__name__: each for each in (bool, int, float, str, list, dict, tuple)}
_NAMES |= {"Any": Any, "Literal": Literal, "Sequence": Sequence, "Mapping": Mapping, "__builtins__": {}}


def annotations_of(system: System) -> dict[str, Any]:
    """Return the arguments of a system's constructor and their annotations, `Any` where there is none."""
    definition, names = _definition(system.home)
    for each in definition.body:
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            found = _annotations(each.args, names)
            if found is not None:
                return found
    network = system.load()
    hints = typing.get_type_hints(network.__init__)
    return {name: hints.get(name, Any) for name in inspect.signature(network).parameters}


def phase_options_of(system: System) -> Mapping[str, str]:
    """Return `SRNetwork.phase_options` of a system's network."""
    for each in _definition(system.home)[0].body:
        if isinstance(each, ast.AnnAssign) and ast.unparse(each.target) == "phase_options" and each.value is not None:
            try:
                return ast.literal_eval(each.value)
            except ValueError:
                break
    return system.load().phase_options


@lru_cache
def _definition(home: str) -> tuple[ast.ClassDef, dict[str, Any]]:
    """Return the definition of a class, ``"module:Class"``, without a body if it is in no source file; known names."""
    module, _, name = home.partition(":")
    spec = importlib.util.find_spec(module)
    definition, names = ast.ClassDef(name, [], [], [], []), dict(_NAMES)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return definition, names
    for each in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(each, ast.ClassDef) and each.name == name:
            definition = each
        elif isinstance(each, ast.Assign) and (text := ast.unparse(each.value)).startswith("Literal["):
            names[ast.unparse(each.targets[0])] = eval(text, _NAMES)
    return definition, names


def _annotations(arguments: ast.arguments, names: dict[str, Any]) -> dict[str, Any] | None:
    if arguments.vararg is not None or arguments.kwarg is not None:
        return None
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs][1:]  # without self
    try:
        return {
            each.arg: Any if each.annotation is None else eval(ast.unparse(each.annotation), names) for each in named
        }
    except (NameError, AttributeError, TypeError):  # a name from elsewhere
        return None
