"""Parts of a network that keep their digits when the rest runs in mixed precision."""

from __future__ import annotations

import torch
from torch import Tensor


def full_precision(x: Tensor) -> torch.autocast:
    """Return a context that leaves mixed precision on the device of ``x``.

    What is added up to the output keeps its digits there; only features inside lose some. Tensors that come from
    mixed precision are converted back by hand.
    """
    return torch.autocast(x.device.type, enabled=False)
