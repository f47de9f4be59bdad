"""Weights of networks: bounds of what is built for them."""

from __future__ import annotations

from threading import Thread

import pytest
import torch
from torch import nn

from finewave.errors import InputError
from finewave.systems.weights import no_larger_than


def test_a_bound_is_that_of_its_own_thread() -> None:
    """Others may build larger networks meanwhile."""
    failures: list[Exception] = []

    def other() -> None:
        try:
            nn.Linear(3000, 2000)
        except InputError as error:
            failures.append(error)

    with no_larger_than(10, "a.safetensors"):
        thread = Thread(target=other)
        thread.start()
        thread.join()
        nn.Linear(3, 2)
    assert failures == []
    with pytest.raises(InputError, match=r"a\.safetensors does not fit its card"), no_larger_than(10, "a.safetensors"):
        nn.Linear(3000, 2000)


def test_the_sides_of_what_is_made_count() -> None:
    with no_larger_than(10, "a.safetensors"):
        assert torch.eye(2000).shape == (2000, 2000)
        torch.zeros(3, 4)
    makers = (
        lambda: torch.eye(3000),
        lambda: torch.eye(10**9, m=1),
        lambda: torch.eye(n=10**9),
        lambda: torch.zeros((3000, 3000)),
        lambda: torch.full((3000, 3000), 0.5),
        lambda: torch.randn(3000, 3000),
    )
    for make in makers:
        with pytest.raises(InputError, match="does not fit its card"), no_larger_than(10, "a.safetensors"):
            make()
