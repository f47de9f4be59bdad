"""Sources of a recipe's values, by the letters in its comments, and the resulting label.

A comment after a value begins with letters, followed by the section, table or option: ``# P, IV`` or ``# C, F: ...``.
It applies to the value or the whole section before it. Values without one are finewave's choice.

| letter | source |
|---|---|
| P | the article, with its section or table; the text of the authors' repository where it quotes the article |
| C | the authors' public code |
| Q | public settings of another work: one that the article builds on, one that has it in its tables |
| F | finewave's choice: nothing is published, or another choice was made |
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finewave.text.yaml_text import checked_text
from finewave.training.configuration.recipes import PART_DATA, PROTOCOL_OPTIONS, find_recipe, load_recipe

PUBLISHED = "as published"
LETTERS = {
    "P": "the article",
    "C": "the authors' public code",
    "Q": "public settings of another work",
    "F": "finewave's choice",
}
_LETTERS = re.compile(r"((?:[PCQF], )*[PCQF])(?=[:;,. (]|$)")
_COMMENT = re.compile(r"(?:^|\s)#\s*(.*)$")
# keys without effect on the weights: names, paths, time limits, memory, recomputation
_NO_SETTING = re.compile(
    r"name|out|base|model\.system|data\.store|phase\d+\.(minutes|kind|part|checkpoint|compile|pretrained)(\..+)?"
)
# keys of a phase that count for one schedule of the learning rate only
_OF_SCHEDULE = {"milestones": "steps", "decay": "steps", "power": "polynomial", "floor": "cosine"}


@dataclass(frozen=True)
class ValueSource:
    """Source of a value: letters of `LETTERS`, empty if not stated, and the rest of the comment."""

    letters: tuple[str, ...] = ()
    text: str = ""

    @property
    def published(self) -> bool:
        """Whether the article or its code is the source of all of the value."""
        return bool(self.letters) and set(self.letters) <= {"P", "C"}


def sources_of(recipe: str | Path) -> dict[str, ValueSource]:
    """Return the source of every value in a recipe or its bases.

    Parameters
    ----------
    recipe : str or Path
        Name or YAML file, see `finewave.training.configuration.recipes.load_recipe`.

    Returns
    -------
    dict
        By key, ``"phase1.learning_rate"``. A mapping written in braces is one value.
    """
    import yaml

    path = find_recipe(recipe)
    text = checked_text(path)
    own = dict(_own_sources(text))
    tree = yaml.safe_load(text) or {}
    base, parts = tree.get("base"), tree.get("parts")
    sources = {} if base is None else sources_of(base)
    if parts is not None:
        sources = {key: source for key, source in sources.items() if not re.match(r"phase\d", key)}
        for number, (part, name) in enumerate(parts.items(), start=1):
            sources |= _part_sources(number, part, name, own.pop(f"parts.{part}", ValueSource()))
    for phase in {key.partition(".")[0] for key in own if re.match(r"phase\d+\.", key)}:
        if base is not None and not any(key.startswith(f"{phase}.") for key in sources):
            first = {key: source for key, source in sources.items() if key.startswith("phase1.")}
            sources |= {key.replace("phase1", phase, 1): source for key, source in first.items()}
    return sources | own


def unpublished(
    recipe: str | Path, overrides: Sequence[str] = (), values: Mapping[str, Any] | None = None
) -> list[str]:
    """Return the keys of a recipe whose values have neither the article nor its code as source.

    Parameters
    ----------
    recipe : str or Path
        Name or YAML file.
    overrides : sequence of str
        ``key=value``; overridden values are not published.
    values : mapping, optional
        Result of `load_recipe` for both, if available.
    """
    values = load_recipe(recipe, overrides) if values is None else values
    changed = dict.fromkeys(override.partition("=")[0] for override in overrides)
    keys = [
        key
        for key, source in sources_of(recipe).items()
        if not source.published and key not in changed and _is_setting(key, values)
    ]
    return keys + [key for key in changed if _is_setting(key, values)]


def label(
    recipe: str | Path,
    overrides: Sequence[str] = (),
    aside: Sequence[str] = (),
    values: Mapping[str, Any] | None = None,
) -> str:
    """Return a label of a recipe: `PUBLISHED`, or its deviations.

    Parameters
    ----------
    recipe, overrides, values
        See `unpublished`.
    aside : sequence of str
        Keys that another source than the recipe decides about, a table's protocol for instance.

    Returns
    -------
    str
        ``"as published"`` if the source of every value is the article or its code, ``"after the article, except data
        (sensor, degradation)"`` if that is not true for some, ``"finewave's own"`` if it is not true for any value of
        its training.
    """
    sources = sources_of(recipe)
    training = [source for key, source in sources.items() if re.match(r"phase\d+\.", key)]
    if not any(source.published for source in training):
        return "finewave's own"
    keys = [key for key in unpublished(recipe, overrides, values) if key not in aside]
    if not keys:
        return PUBLISHED
    sections: dict[str, list[str]] = {}
    for key in keys:
        section, dot, name = key.partition(".")
        sections.setdefault(section, []).extend([name] if dot else [])
    words = [f"{name} ({', '.join(inside)})" if inside else name for name, inside in sections.items()]
    return f"after the article, except {', '.join(words)}"


def _is_setting(key: str, values: Mapping[str, Any]) -> bool:
    """Return whether a key affects the weights, given the rest of the recipe."""
    if _NO_SETTING.fullmatch(key) or (key == "init_from" and values.get("init_from") is None):
        return False
    section, _, name = key.partition(".")
    if not section.startswith("phase"):
        phases = [value for other, value in values.items() if other.startswith("phase")]
        return section != "data" or not all(name in (phase.get("data") or {}) for phase in phases)
    phase = values[section]
    if name == "estimates":
        return phase.get("part") is not None
    return name not in _OF_SCHEDULE or phase.get("schedule") == _OF_SCHEDULE[name]


def _part_sources(number: int, part: str, name: str, named: ValueSource) -> dict[str, ValueSource]:
    """Return the sources of the values that a composition takes from the recipe of a part."""
    sources = {f"model.{part}": named}
    for key, source in sources_of(name).items():
        section, _, inside = key.partition(".")
        if section == "model" and inside.partition(".")[0] not in ("system", *PROTOCOL_OPTIONS):
            sources[f"model.{part}_options.{inside}"] = source
        elif section == "phase1":
            sources[f"phase{number}.{inside}"] = source
        elif section == "data" and inside in PART_DATA:
            sources[f"phase{number}.data.{inside}"] = source
    return sources


def _own_sources(text: str) -> Iterator[tuple[str, ValueSource]]:
    """Yield the source of each value in the text of the recipe itself."""
    import yaml

    lines = text.splitlines()

    def walk(mapping: yaml.MappingNode, prefix: str, above: ValueSource) -> Iterator[tuple[str, ValueSource]]:
        for key, value in mapping.value:
            comment = _COMMENT.search(lines[key.start_mark.line])
            source = _source(comment[1]) if comment else above
            if isinstance(value, yaml.MappingNode) and not value.flow_style:
                yield from walk(value, f"{prefix}{key.value}.", source)
            else:
                yield f"{prefix}{key.value}", source

    tree = yaml.compose(text)
    if isinstance(tree, yaml.MappingNode):
        yield from walk(tree, "", ValueSource())


def _source(comment: str) -> ValueSource:
    match = _LETTERS.match(comment)
    if match is None:
        return ValueSource((), comment)
    return ValueSource(tuple(match[1].split(", ")), comment[match.end() :].lstrip(":;,. "))
