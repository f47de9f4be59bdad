"""The plain formulations, which the tests keep."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from torch import nn

from finewave.systems.base import SRNetwork
from finewave.systems.registry import config_of

CHECKOUT = Path(__file__).parents[1]


def has_plain() -> bool:
    """Return whether the plain formulations are available."""
    return (CHECKOUT / "tests" / "plain" / "jssunet.py").is_file()


def plain_module(name: str = "jssunet") -> ModuleType:
    """Import a module of ``tests/plain/`` of the checkout."""
    if str(CHECKOUT) not in sys.path:
        sys.path.insert(0, str(CHECKOUT))
    return importlib.import_module(f"tests.plain.{name}")


def plain_network(net: SRNetwork) -> nn.Module:
    """Return the plain formulation of a network, with its weights: JSSUNet's, MST++'s, US3RN's or SSPSR's."""
    system, config = config_of(net)
    if system != "jssunet":
        written: nn.Module = plain_module("attention").written_out(net)
        return written
    plain = plain_module().PlainJSSUNet(**config)
    plain.load_state_dict(net.state_dict())
    plain.size_multiple = net.size_multiple
    return plain.train(net.training)
