"""Activation checkpointing and compiled blocks: less memory or time for the same gradients."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from finewave.errors import InputError
from finewave.warnings import FinewaveWarning


@contextmanager
def recomputing(net: nn.Module, which: str | None) -> Iterator[None]:
    """Store only the inputs of some modules for the backward pass, and recompute their activations.

    Gradients are the same. Only one such module's activations are stored at a time, for about a third more arithmetic.

    Parameters
    ----------
    net : nn.Module
        Its modules are changed while the context lasts; a copy must be made before.
    which : str or None
        Name of the modules' attribute: for JSSUNet ``"stages"`` or, inside them, ``"prox"``. Module lists are expanded.
        None for no checkpointing.

    Raises
    ------
    InputError
        If there are no such modules.

    Notes
    -----
    A module that normalises by its batch is left alone: its running means would move twice.
    """
    modules = [] if which is None else _called(net, which)
    if which is not None and not modules:
        names = sorted({name.rpartition(".")[2] for name, m in net.named_modules() if name and list(m.parameters())})
        accepted = ", ".join(name for name in names if not name.isdigit())
        raise InputError(f"checkpoint={which!r}, but {type(net).__name__} has no such modules; it has {accepted}")
    for module in modules:
        module.forward = partial(_recomputed, module.forward)
    try:
        yield
    finally:
        for module in modules:
            del module.forward  # restore the class's method


def _recomputed(forward: Any, *args: Any, **kwargs: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, **kwargs)


def _called(net: nn.Module, which: str) -> list[nn.Module]:
    """Return the outermost modules of that name, without those that normalise by their batch."""
    modules: list[nn.Module] = []
    inside: set[nn.Module] = set()
    for name, module in net.named_modules():
        if name.rpartition(".")[2] == which and module not in inside:
            modules.extend(module if isinstance(module, nn.ModuleList) else [module])
            inside.update(module.modules())
    return [m for m in modules if not any(isinstance(part, _BatchNorm) for part in m.modules())]


@contextmanager
def compiling(net: nn.Module, enabled: bool) -> Iterator[None]:
    """Compile the network's residual blocks with ``torch.compile``; warn and continue without it if that fails.

    Blocks benefit from fusion and are not split by checkpointing. A network without modules called ``blocks`` is
    compiled child by child.
    """
    modules = _to_compile(net) if enabled and _can_compile(next(net.parameters()).device) else []
    for module in modules:
        module.compile()
    try:
        yield
    finally:
        for module in modules:
            module._compiled_call_impl = None


def _to_compile(net: nn.Module) -> list[nn.Module]:
    named = (m for name, m in net.named_modules() if name.rpartition(".")[2] == "blocks")
    blocks = [module for module in named if any(True for _ in module.children())]
    return blocks or list(net.children())


def _can_compile(device: torch.device) -> bool:
    """Return whether this machine compiles, by trying; it needs a C++ compiler, or Triton on a GPU."""

    def probe(x: Tensor) -> Tensor:
        return (x.relu() + 1).sum()

    try:
        torch.compile(probe)(torch.ones(8, device=device))
    except Exception as error:  # the compiler raises many types of errors
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        warnings.warn(
            f"compile: torch.compile does not work here ({reason}); going on without "
            "(compile: false in the recipe says so)",
            FinewaveWarning,
            3,
        )
        return False
    return True
