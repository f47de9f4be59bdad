"""Weights of public code, by the name of the system."""

from __future__ import annotations

import pytest
import torch

import finewave as fw


def test_unknown_system() -> None:
    with pytest.raises(ValueError, match="unknown model 'jsunet'; did you mean 'jssunet'"):
        fw.from_reference("jsunet", {})


def test_what_is_no_state_dict() -> None:
    with pytest.raises(ValueError, match="list"):
        fw.from_reference("jssunet", [("a", 1)])  # type: ignore[arg-type]  # the point of the test


def test_keys_that_do_not_belong() -> None:
    config = {"module": "ProxSR", "channels": 3, "features": 8, "res_blocks": 1, "kernel_size": 3}
    with pytest.raises(ValueError, match="'stranger'"):
        fw.from_reference("jssunet", {"stranger": torch.zeros(3)}, **config)


def test_hyper_parameters_that_are_missing() -> None:
    with pytest.raises(ValueError, match="'res_blocks'"):
        fw.from_reference("jssunet", {}, module="ProxSR", channels=3, features=8, kernel_size=3)
