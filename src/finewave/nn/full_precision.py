"""Parts of a network that stay in full precision when the rest runs in mixed precision."""

from __future__ import annotations

import torch
from torch import Tensor


def full_precision(x: Tensor) -> torch.autocast:
    """Return a context that disables mixed precision on the device of ``x``.

    Terms that are summed to the output keep full precision; only inner features use mixed precision. Tensors from mixed
    precision have to be converted back explicitly.
    """
    return torch.autocast(x.device.type, enabled=False)
