"""Reading and writing of weights as safetensors, never pickles, and checks that they fit a network."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)
from torch.overrides import TorchFunctionMode

from finewave.errors import InputError

_SPARE = 2**22
"""Numbers that a network may have besides those of its weights: buffers that are not stored."""
_FACTORIES = frozenset((torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn))


def numbers_in(path: Path) -> int:
    """Return how many numbers a safetensors file holds by its header, which states no more than the file has.

    Raises
    ------
    InputError
        If the file is missing or is not a complete safetensors file.
    """
    try:
        with safe_open(path, "pt") as file:
            return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 - no mapping
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise InputError(f"the weights file is missing: {path}") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged, cut short or no safetensors file ({error})") from error


class _Bounded(TorchFunctionMode):
    """Refuses tensors of too many numbers before PyTorch makes them."""

    def __init__(self, largest: int, refusal: InputError) -> None:
        super().__init__()
        self._largest, self._refusal = largest, refusal

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if _numbers_made(func, args, kwargs) > self._largest:
            raise self._refusal
        return func(*args, **kwargs)


def _numbers_made(func: Any, args: Any, kwargs: Mapping[str, Any]) -> int:
    """Return how many numbers a call makes, as far as its arguments are a size; 0 for all other functions."""
    if func is torch.eye:
        rows = kwargs.get("n", args[0] if args else 0)
        return int(rows * kwargs.get("m", args[1] if len(args) > 1 else rows))
    if func not in _FACTORIES:
        return 0
    first = kwargs.get("size", args[0] if args else ())
    sides = first if isinstance(first, tuple | list) else args
    return math.prod(side for side in sides if isinstance(side, int))


@contextmanager
def no_larger_than(numbers: int, source: str) -> Iterator[None]:
    """Refuse a network that is built here before it takes far more numbers than its weights have.

    Raises
    ------
    InputError
        If it has more than twice as many, and `_SPARE`.
    """
    largest = 2 * numbers + _SPARE  # some are made before others replace them
    refusal = InputError(f"{source} does not fit its card, whose network has more than its {numbers:,} numbers")
    seen: dict[int, Tensor] = {}  # the tensors, too: numbers of freed ones are given to others
    total, thread = 0, get_ident()

    def count(module: nn.Module, name: str, value: Tensor | None) -> None:
        nonlocal total
        # PyTorch calls this for the networks of all threads
        if value is None or id(value) in seen or get_ident() != thread:
            return
        seen[id(value)] = value
        total += value.numel()
        if total > largest:
            raise refusal

    hooks = [register_module_parameter_registration_hook(count), register_module_buffer_registration_hook(count)]
    try:
        with _Bounded(largest, refusal):
            yield
    finally:
        for hook in hooks:
            hook.remove()


def read_weights(path: Path) -> tuple[dict[str, Tensor], str]:
    """Return the tensors of a safetensors file and the file's sha256.

    Raises
    ------
    InputError
        If the file is missing, is not a complete safetensors file, or holds NaN or infinity.
    """
    try:
        content = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise InputError(f"the weights file is missing: {path}") from None
    try:
        tensors = parse(content)
    except SafetensorError as error:
        raise InputError(f"{path} is damaged, cut short or no safetensors file ({error})") from error
    for name, values in tensors.items():
        if values.is_floating_point() and not bool(torch.isfinite(values.float()).all()):
            raise InputError(f"{path}: {name!r} holds NaN or infinity; no network works with it: use other weights")
    return tensors, hashlib.sha256(content).hexdigest()


def write_weights(net: nn.Module, path: Path, dtype: torch.dtype | None = None) -> str:
    """Write a network's state and return the file's sha256.

    Parameters
    ----------
    net : torch.nn.Module
        Its tensors may be on any device.
    path : Path
        Written directly: the caller has to make sure that no partial file is left under this name.
    dtype : torch.dtype, optional
        Of the floating-point tensors in the file, e.g. ``torch.bfloat16`` for half the size.
    """
    state = {}
    for key, value in net.state_dict().items():
        stored = value.detach().to("cpu", dtype if dtype is not None and value.is_floating_point() else value.dtype)
        # a row-major copy: safetensors supports neither shared memory nor other layouts
        state[key] = stored.clone(memory_format=torch.contiguous_format)
    content = serialise(state)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def fill_network(net: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy ``tensors`` into ``net``, in the dtype that the network has.

    Raises
    ------
    InputError
        Names the first tensor that is missing, unexpected or of another shape, and ``source``.
    """
    state = net.state_dict()
    for key, value in state.items():
        if key not in tensors:
            raise InputError(f"{source} lacks {key!r} of shape {tuple(value.shape)}")
        if tensors[key].shape != value.shape:
            raise InputError(
                f"{source} has {key!r} of shape {tuple(tensors[key].shape)}; the network's has {tuple(value.shape)}"
            )
    unexpected = sorted(set(tensors) - set(state))
    if unexpected:
        raise InputError(f"{source} has {unexpected[0]!r}, which the network does not have")
    net.load_state_dict(dict(tensors))
