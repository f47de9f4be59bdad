"""Conversion of weights saved by the authors' public code."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from finewave.errors import InputError
from finewave.systems.registry import system_named

if TYPE_CHECKING:
    from torch import Tensor, nn


def from_reference(system: str, state_dict: Mapping[str, Tensor], **config: Any) -> nn.Module:
    """Build a network, or one of its modules, from a state dict of the authors' public code.

    Each system's ``reference.py`` maps the public code's keys to ours.

    Parameters
    ----------
    system : str
        A name from ``list_models()``.
    state_dict : mapping of str to Tensor
        Keys and shapes as the public code saves them.
    **config
        Hyper-parameters by the names of the public code.

    Returns
    -------
    torch.nn.Module
        In evaluation mode.

    Raises
    ------
    InputError
        A ``ValueError``, if the system, a hyper-parameter, a key or a shape is not the expected one.
    """
    package, _, part = system_named(system).module.rpartition(".")
    name = f"{package}.reference"
    module = importlib.import_module(name) if importlib.util.find_spec(name) is not None else None
    # parts of a network that are separate systems have separate functions
    build = module.from_reference if module and part == "network" else getattr(module, "PARTS", {}).get(system)
    if build is None:
        raise InputError(f"{system} has no public reference code to take weights from")
    if not isinstance(state_dict, Mapping):
        raise InputError(f"the state dict is a {type(state_dict).__name__}; a mapping of names to tensors is expected")
    return build(state_dict, **config).eval()
