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


def plain_module() -> ModuleType:
    """Import ``tests/plain/jssunet.py`` of the checkout."""
    if str(CHECKOUT) not in sys.path:
        sys.path.insert(0, str(CHECKOUT))
    return importlib.import_module("tests.plain.jssunet")


def plain_network(net: SRNetwork) -> nn.Module:
    """Return the plain formulation of a network, with its weights."""
    _, config = config_of(net)
    plain = plain_module().PlainJSSUNet(**config)
    plain.load_state_dict(net.state_dict())
    plain.size_multiple = net.size_multiple
    return plain.train(net.training)
