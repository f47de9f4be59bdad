"""Loading of state dicts with other key names, used by every system's ``reference.py``."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from finewave.errors import InputError, unknown_name

Rules = Sequence[tuple[str, Any]]


def bare(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict without a prefix common to all keys: ``param.``, or a data-parallel wrapper's ``module.``.

    For a whole checkpoint, its entry ``"state_dict"`` is used.
    """
    inside = state_dict.get("state_dict")
    result = dict(inside if isinstance(inside, Mapping) else state_dict)
    for prefix in ("param.", "module."):
        if result and all(key.startswith(prefix) for key in result):
            result = {key.removeprefix(prefix): value for key, value in result.items()}
    return result


def check_names(system: str, config: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise `InputError` if ``config`` has a hyper-parameter that the public code of ``system`` does not have."""
    for key in config:
        if key not in known:
            raise unknown_name(f"hyper-parameter of the public {system} code", key, known)


def shape_of(system: str, state_dict: Mapping[str, Tensor], key: str) -> torch.Size:
    """Return the shape of a tensor that every state dict of ``system`` has."""
    if key not in state_dict:
        raise InputError(f"the state dict is not a {system}'s: it has no {key!r}")
    return state_dict[key].shape


def build_module(
    system: str, name: str, builders: Mapping[str, Callable[[Mapping[str, Any]], nn.Module]], config: Mapping[str, Any]
) -> nn.Module:
    """Return the module that the public code of ``system`` calls ``name``; `InputError` for what is missing."""
    if name not in builders:
        raise unknown_name(f"module of {system}", name, builders)
    try:
        return builders[name](config)
    except KeyError as error:
        raise InputError(f"{system}'s module {name} needs the hyper-parameter {error.args[0]!r}") from error


def fill_renamed(
    net: nn.Module, state_dict: Mapping[str, Tensor], rules: Rules, unused: str | None = None
) -> nn.Module:
    """Copy the reference's tensors into ``net``; every tensor must have a counterpart.

    Parameters
    ----------
    net : nn.Module
        Filled in-place.
    state_dict : mapping of str to Tensor
        The public code's. Counters of batch normalisation are passed over.
    rules : sequence of (pattern, replacement)
        Pairs for ``re.sub``, applied to each key in order.
    unused : str, optional
        Pattern that matches keys of tensors that the public code saves but never uses.

    Returns
    -------
    nn.Module
        ``net``.

    Raises
    ------
    InputError
        If a key has no counterpart or a shape does not fit. Singleton axes may differ.
    """
    own, renamed = net.state_dict(), {}
    for key, value in state_dict.items():
        if key.endswith("num_batches_tracked") or (unused and re.search(unused, key)):
            continue
        new = key
        for pattern, replacement in rules:
            new = re.sub(pattern, replacement, new)
        if new not in own:
            raise InputError(f"key {key!r} of the state dict does not fit into {type(net).__name__}")
        if new in renamed:
            raise InputError(f"key {key!r} of the state dict stands for {new!r} of {type(net).__name__} a second time")
        renamed[new] = value
    for key, value in own.items():
        if key.endswith("num_batches_tracked"):
            renamed[key] = value
        elif key not in renamed:
            raise InputError(f"the state dict lacks {type(net).__name__}'s {key!r} of {tuple(value.shape)}")
        elif _essential(renamed[key].shape) != _essential(value.shape):
            raise InputError(
                f"{type(net).__name__}'s {key!r} has shape {tuple(value.shape)}; "
                f"the state dict's is {tuple(renamed[key].shape)}"
            )
        else:
            renamed[key] = renamed[key].reshape(value.shape)
    net.load_state_dict(renamed)
    return net


def _essential(shape: torch.Size) -> list[int]:
    """Return a shape without its singleton axes."""
    return [n for n in shape if n != 1]
