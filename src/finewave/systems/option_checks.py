"""Refusals of options of networks that are out of range: one wording for all of them."""

from __future__ import annotations

from finewave.errors import InputError


def require(system: str, holds: bool, accepted: str, **option: object) -> None:
    """Refuse an option, given by its name, unless a condition holds; ``accepted`` says which."""
    if not holds:
        ((name, value),) = option.items()
        raise InputError(f"{system}: {name}={value!r} is out of range; it must be {accepted}")


def at_least(system: str, least: int, **options: float) -> None:
    """Refuse options, given by their names, that are below a number."""
    for name, value in options.items():
        require(system, value >= least, f">= {least}", **{name: value})


def one_of(system: str, choices: tuple[str, ...], **option: str) -> None:
    """Refuse an option, given by its name, that is not one of several words."""
    (value,) = option.values()
    require(system, value in choices, " or ".join(map(repr, choices)), **option)
