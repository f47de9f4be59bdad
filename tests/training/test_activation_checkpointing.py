"""Checkpointing and compiling change memory and time, never the numbers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import finewave as fw
from finewave.systems.registry import create_model
from finewave.training.activation_checkpointing import compiling, recomputing
from finewave.training.trainer import train
from finewave.warnings import FinewaveWarning


def network() -> nn.Module:
    torch.manual_seed(4)
    return create_model("jssunet", features=8, stages=2, n_clusters=3, post=False)


def gradients(net: nn.Module, which: str | None) -> tuple[list[Tensor], int]:
    """Return every gradient, and how many bytes are held for the backward pass outside of checkpoints."""
    held: dict[int, int] = {}

    def count(x: Tensor) -> Tensor:
        held[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    net.zero_grad()
    with recomputing(net, which), torch.autograd.graph.saved_tensors_hooks(count, lambda x: x):
        stages = net.forward_stages(torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(1)))
        loss = sum(u.square().sum() for u in (*stages.sr, *stages.ssr, *stages.fusion))
        loss.backward()
    return [p.grad for p in net.parameters()], sum(held.values())


@pytest.mark.parametrize(("which", "share"), [("stages", 0.7), ("prox", 0.7), ("blocks", 0.85)])
def test_gradients_are_the_same_with_less_kept(which: str, share: float) -> None:
    net = network()
    expected, plain = gradients(net, None)
    got, kept = gradients(net, which)
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))
    assert kept < share * plain
    assert not any("forward" in vars(module) for module in net.modules())


def test_without_gradients_nothing_changes() -> None:
    net = network().eval()
    x = torch.rand(1, 3, 4, 4)
    with torch.no_grad():
        expected = net(x)
        with recomputing(net, "stages"):
            assert torch.equal(net(x), expected)


def test_modules_that_are_not_there_are_refused() -> None:
    with pytest.raises(fw.InputError, match=r"checkpoint='stage', but JSSUNet has no such modules; .*stages"):
        gradients(network(), "stage")


def test_batch_normalisation_is_left_alone() -> None:
    net = nn.ModuleDict({"blocks": nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))})
    with pytest.raises(fw.InputError, match="no such modules"), recomputing(net, "blocks"):
        pass


def test_a_training_with_checkpoints_ends_with_the_same_weights(overrides: list[str], tmp_path: Path) -> None:
    short = [*overrides, "phase1.steps=3", "phase2.steps=1", "model.post=false"]
    plain = train("jssunet-cave-x4", short)
    other = train("jssunet-cave-x4", [*short, f"out={tmp_path / 'less'}", "phase1.checkpoint=stages"])
    a, b = (load_file(folder / "model.safetensors") for folder in (plain, other))
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_without_a_compiler_training_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no C++ compiler found")

    monkeypatch.setattr("torch.compile", fails)
    net = network()
    with pytest.warns(FinewaveWarning, match="no C\\+\\+ compiler found"), compiling(net, True):
        assert gradients(net, None)[0]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")  # of PyTorch, to its own compiler
def test_compiled_blocks_give_the_same_gradients() -> None:
    net = network()
    expected, _ = gradients(net, None)
    with compiling(net, True):
        assert sum(module._compiled_call_impl is not None for module in net.modules()) == 6
        got, _ = gradients(net, None)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)
    assert all(module._compiled_call_impl is None for module in net.modules())
