"""Reading and writing of weights as safetensors, never pickles, and checks that they fit a network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import Tensor, nn

from finewave.errors import InputError


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
