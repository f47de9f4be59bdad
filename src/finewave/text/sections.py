"""Typed sections of a recipe: dataclasses whose fields state type and accepted range.

Fields are declared with `option`. `checked` raises a one-line error with the key for each value that is unknown,
missing, of the wrong type or out of range. Sections are also structured configurations for OmegaConf, but its
conversions are not used: they accept "5" as a number, 2 as true and [[]] as a list of numbers, and turn 1 into 1.0,
which would change the names of results.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from finewave.errors import InputError, unknown_name

_WORDS: dict[Any, str] = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "a text",
    list[str]: "a list of strings",
    list[float]: "a list of numbers",
    list[list[float]]: "a list of lists of numbers",
    dict[str, float]: "a mapping of names to numbers",
    dict[str, str | None]: "a mapping of names to files",
}


@dataclass(frozen=True)
class Accepted:
    """Accepted values of an option beyond its type; for a list or a mapping, of each of its values.

    Attributes
    ----------
    required : bool
        Whether the key is required.
    least, most : float, optional
        Inclusive bounds. Infinity and NaN are never accepted.
    above, below : float, optional
        Exclusive bounds.
    choices : tuple of str
        The accepted words; empty for any.
    length : int, optional
        Length of a list, or of each list in a list.
    partial : bool
        For a section: none of its keys is required.
    """

    required: bool = True
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    length: int | None = None
    partial: bool = False

    def holds(self, value: Any) -> bool:
        """Return whether a value of the right type is accepted; null always is."""
        if isinstance(value, Mapping):
            return all(self.holds(each) for each in value.values())
        if isinstance(value, list):
            flat = not any(isinstance(each, list) for each in value)
            return (not flat or self.length in (None, len(value))) and all(self.holds(each) for each in value)
        if isinstance(value, str):
            return not self.choices or value in self.choices
        return value is None or isinstance(value, bool) or self._spans(value)

    def _spans(self, value: float) -> bool:
        return (
            math.isfinite(value)
            and (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    @property
    def bounds(self) -> str:
        """The range as text; empty if any finite number is accepted."""
        bounds = ((">=", self.least), (">", self.above), ("<=", self.most), ("<", self.below))
        return " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)


def option(
    *,
    required: bool = True,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: Iterable[str] = (),
    length: int | None = None,
    partial: bool = False,
) -> Any:
    """Return a dataclass field without a default; the arguments are those of `Accepted`."""
    accepted = Accepted(required, least, most, above, below, tuple(choices), length, partial)
    return dataclasses.field(metadata={"accepted": accepted})


class Section:
    """A section with conditions beyond the type and bounds of single values."""

    @staticmethod
    def check(values: Mapping[str, Any], prefix: str) -> None:
        """Raise an `InputError` that names the key, with ``prefix``, if values contradict each other."""


@dataclass(frozen=True)
class _Option:
    """A field of a section, with its type parsed."""

    name: str
    kind: Any
    nullable: bool
    accepted: Accepted

    @property
    def section(self) -> type | None:
        """The dataclass, if the field is a section itself."""
        return self.kind if dataclasses.is_dataclass(self.kind) else None  # type: ignore[return-value]  # never an instance

    @property
    def words(self) -> str:
        """Accepted type and range, as text."""
        words = f"one of {', '.join(self.accepted.choices)}" if self.accepted.choices else _WORDS[self.kind]
        if self.accepted.length is not None:
            words = words.replace("numbers", f"{self.accepted.length} numbers")
        return f"{words} {self.accepted.bounds}".rstrip() + (" or null" if self.nullable else "")


@lru_cache
def _options(section: type) -> dict[str, _Option]:
    hints = typing.get_type_hints(section)
    options = {}
    for field in dataclasses.fields(section):
        kind, nullable = hints[field.name], False
        if typing.get_origin(kind) in (typing.Union, types.UnionType):
            (kind,) = (each for each in typing.get_args(kind) if each is not type(None))
            nullable = True
        options[field.name] = _Option(field.name, kind, nullable, field.metadata["accepted"])
    return options


def checked(section: type, tree: Any, prefix: str, source: str, *, partial: bool = False) -> dict[str, Any]:
    """Return a section of a recipe, checked against its dataclass.

    Parameters
    ----------
    section : type
        Dataclass with fields made by `option`.
    tree : dict
        The section as read.
    prefix : str
        Prefix of the keys in messages, for instance ``"data."``.
    source : str
        Name of the source in messages: ``"recipe jssunet-cave-x4"``.
    partial : bool
        Whether no key is required.

    Returns
    -------
    dict
        The keys of ``tree``. Where any number is accepted, an integer stays an integer, because names of results are
        made from it.

    Raises
    ------
    InputError
        If a key is unknown or missing, or a value is of the wrong type or out of range.
    """
    if not isinstance(tree, Mapping):
        name = prefix.rstrip(".") or source
        raise InputError(f"{name}={_short(tree)} is of the wrong kind; it must be a mapping of keys to values")
    options = _options(section)
    for key in tree:
        if key not in options:
            raise unknown_key(f"{prefix}{key}", keys_of(section, prefix), source)
    for key, each in options.items():
        if each.accepted.required and key not in tree and not partial:
            raise InputError(f"{source} lacks the key {prefix + key!r}; it must be {_kind_of(each)}")
    values = {key: _checked_value(section, options[key], value, prefix, source) for key, value in tree.items()}
    if issubclass(section, Section):
        section.check(values, prefix)
    return values


def _kind_of(option: _Option) -> str:
    return "a mapping of keys to values" if option.section is not None else option.words


def _checked_value(section: type, option: _Option, value: Any, prefix: str, source: str) -> Any:
    name = f"{prefix}{option.name}"
    if option.section is not None:
        if value is None and option.nullable:
            return None
        return checked(option.section, value, f"{name}.", source, partial=option.accepted.partial)
    if not (value is None and option.nullable) and not _is_of(value, option.kind):
        raise InputError(f"{name}={_short(value)} is of the wrong kind; it must be {option.words}")
    if isinstance(value, str) and not option.accepted.holds(value):
        raise unknown_name(name, value, option.accepted.choices)
    if not option.accepted.holds(value):
        plain = option.accepted.bounds if option.kind in (int, float) else ""
        raise InputError(f"{name}={_short(value)} is out of range; it must be {plain or option.words}")
    return value


def unknown_key(key: str, known: Iterable[str], source: str) -> InputError:
    """Return the error for a key that does not exist, naming the nearest one that does."""
    nearest = difflib.get_close_matches(key, list(known), n=1, cutoff=0.4)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return InputError(f"{source} has no key {key!r}{hint}")


def keys_of(section: type, prefix: str = "") -> Iterator[str]:
    """Yield the keys of a section and of those in it."""
    for name, each in _options(section).items():
        yield f"{prefix}{name}"
        if each.section is not None:
            yield from keys_of(each.section, f"{prefix}{name}.")


def _is_of(value: Any, kind: Any) -> bool:
    """Return whether a value is of a type; integers are numbers, booleans are not."""
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        return isinstance(value, list) and all(_is_of(each, inside[0]) for each in value)
    if origin is dict:
        texts = isinstance(value, dict) and all(isinstance(key, inside[0]) for key in value)
        return texts and all(_is_of(each, inside[1]) for each in value.values())
    if inside:  # a union
        return any(_is_of(value, each) for each in inside)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _short(value: Any) -> str:
    """Return a value for a message of one line."""
    words = repr(value)
    return words if len(words) <= 80 else f"{words[:77]}..."
