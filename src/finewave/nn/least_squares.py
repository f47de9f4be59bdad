"""Linear systems of normal equations, solved to the same bits every time."""

from __future__ import annotations

import torch
from torch import Tensor


def solve_normal(gram: Tensor, moment: Tensor) -> Tensor:
    """Return the solution (M, N) of least norm of ``gram @ solution = moment``.

    By singular values (LAPACK's gelsd). PyTorch's default, gelsy, reads an array of pivots that PyTorch 2.13 does
    not initialise (pytorch/pytorch issue 187411): with matrices of poor condition the same call had other results
    whenever other numbers had been in that memory.

    Parameters
    ----------
    gram : Tensor
        (M, M), float64; of any rank.
    moment : Tensor
        (M, N), float64.
    """
    return torch.linalg.lstsq(gram, moment, driver="gelsd" if gram.device.type == "cpu" else None).solution
