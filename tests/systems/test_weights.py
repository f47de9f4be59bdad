"""Weights of networks: bounds of what is built for them."""

from __future__ import annotations

from threading import Thread

import pytest
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
